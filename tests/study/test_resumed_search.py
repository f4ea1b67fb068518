"""A search whose client was killed goes on with the trials that it would have tried next."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from clients import Place, finish, kill, wait_until

from sweep.plan import layout
from sweep.study.reading import read_rounds
from sweep.study.searching import read_search, read_story

SEARCH = ("hydra/sweeper=guide", "hydra.launcher.cluster=local", "x=interval(-5,5)", "epochs=4,5")
TRIALS = 8


def words(strategy: str, **settings: float) -> list[str]:
    own = [f"{key}={value}" for key, value in settings.items()]
    stop = f"hydra.sweeper.max_trials={TRIALS}"
    return [*SEARCH, f"hydra.sweeper.strategy={strategy}", stop, "hydra.sweeper.batch=2", *own]


def tried(place: Place) -> list[dict[str, float]]:
    return [dict(item.point) for item in read_story(place.store.at("s")).begun]


def killed_after(place: Place, results: int, strategy: str) -> None:
    client = place.start(*words(strategy, epoch_s=0.05))
    wait_until(lambda: place.planned() and len(place.ended()) >= results)
    kill(client)


@pytest.mark.parametrize("strategy", ["staged", "tpe"])
def test_resume_goes_on_with_the_same_next_trials(tmp_path: Path, strategy: str) -> None:
    whole, cut = Place(tmp_path / "whole"), Place(tmp_path / "cut")
    for place in (whole, cut):
        place.folder.mkdir()
    assert whole.multirun(*words(strategy)).code == 0
    killed_after(cut, 3, strategy)

    stopped = cut.verb("status", "s")
    ended = finish(cut.resume())

    assert ended.code == 0, ended.err
    assert "stopped" in stopped.out
    assert f"search {strategy}" in stopped.out
    assert tried(cut) == tried(whole)
    assert [r.objective for _, r in sorted(cut.records().items())] == [
        r.objective for _, r in sorted(whole.records().items())
    ]
    assert read_story(cut.store.at("s")).decisions == read_story(whole.store.at("s")).decisions
    told = json.loads(cut.verb("status", "s", "--json").out)[0]
    assert told["state"] == "complete"
    assert told["search"]["begun"] == TRIALS


def test_an_open_search_goes_on_after_a_kill_and_trains_nothing_twice(tmp_path: Path) -> None:
    place = Place(tmp_path)
    open_ = [word for word in words("tpe", epoch_s=0.05) if "batch" not in word]
    client = place.start(*open_, "hydra.launcher.parallelism=2")
    wait_until(lambda: place.planned() and len(place.ended()) >= 3)
    os.kill(place.workers()[0].pid, signal.SIGKILL)
    wait_until(lambda: len(place.ended()) >= 5)
    kill(client)

    ended = finish(place.resume("--parallelism", "2"))

    assert ended.code == 0, ended.err
    assert place.ended() == list(range(TRIALS))
    assert len(tried(place)) == TRIALS
    assert len({repr(point) for point in tried(place)}) == TRIALS
    assert [round_.offers is not None for round_ in read_rounds(place.store.at("s"))] in (
        [True, True],
        [True, False, True],  # what was cut off comes first
        [True, False],
    )


def test_the_same_command_goes_on_and_another_is_refused(tmp_path: Path) -> None:
    place = Place(tmp_path)
    killed_after(place, 2, "random")

    other = place.multirun(*words("sobol"))
    again = place.multirun(*words("random", epoch_s=0.05))

    assert other.code == 2
    assert "study s exists" in other.err
    assert again.code == 0, again.err
    assert "was begun by this very search; it goes on" in again.out
    assert len(place.records()) == TRIALS


def test_a_damaged_search_is_named(tmp_path: Path) -> None:
    place = Place(tmp_path)
    killed_after(place, 2, "random")
    place.store.at("s").write(layout.SEARCH, b"{")

    ended = finish(place.resume())

    assert read_story(place.store.at("s"), trials=0).begun == ()
    assert ended.code == 2
    assert "search.json: not JSON" in ended.err
    with pytest.raises(Exception, match="not JSON"):
        read_search(place.store.at("s"))


def test_an_earlier_study_s_best_are_tried_first(tmp_path: Path) -> None:
    place = Place(tmp_path)
    earlier = ("hydra.launcher.cluster=local", "x=1,2,6", "epochs=4")
    assert place.multirun(*earlier, study="earlier").code == 0

    first = "hydra.sweeper.first={study: earlier, best: 2}"
    ended = place.multirun(*words("random"), first)
    wrong = place.multirun(*words("random"), "hydra.sweeper.first=nobody", study="t")

    assert ended.code == 0, ended.err
    assert tried(place)[:2] == [{"x": 2.0, "epochs": 4}, {"x": 1.0, "epochs": 4}]
    assert wrong.code == 2
    assert "study 'nobody' does not exist" in wrong.err


@pytest.mark.parametrize("strategy", ["random", "tpe"])
def test_a_search_that_is_over_goes_on_under_a_new_limit_and_keeps_to_it(
    tmp_path: Path, strategy: str
) -> None:
    whole, short = Place(tmp_path / "whole"), Place(tmp_path / "short")
    for place in (whole, short):
        place.folder.mkdir()
    assert whole.multirun(*words(strategy)).code == 0
    assert short.multirun(*words(strategy), "hydra.sweeper.max_trials=4").code == 0

    ended = finish(short.resume("--max-trials", str(TRIALS)))
    again = finish(short.resume())

    assert ended.code == 0, ended.err
    assert again.code == 0, again.err
    assert tried(short) == tried(whole)
    assert short.ended() == list(range(TRIALS))
    assert read_story(short.store.at("s")).limits == {"max_trials": TRIALS}
    assert f"hydra.sweeper.max_trials={TRIALS}" in short.verb("status", "s").out


def test_an_open_search_goes_on_under_a_new_limit_of_time(tmp_path: Path) -> None:
    place = Place(tmp_path)
    open_ = [word for word in words("tpe", epoch_s=0.1) if "batch" not in word]
    first = place.multirun(*open_, "hydra.launcher.parallelism=1", "hydra.sweeper.max_time=1s")
    begun = len(tried(place))

    ended = finish(place.resume("--max-time", "10m"))

    assert first.code == 0, first.err
    assert 0 < begun < TRIALS
    assert ended.code == 0, ended.err
    assert place.ended() == list(range(TRIALS))


def test_limits_that_cannot_be_are_refused_in_one_line(tmp_path: Path) -> None:
    place = Place(tmp_path)
    small = ("hydra.launcher.cluster=local", "epochs=1")
    assert place.multirun(*small, "x=1,2", study="grid").code == 0
    assert place.multirun(*words("random"), "hydra.sweeper.max_trials=2").code == 0

    grid = place.verb("resume", "grid", "--max-trials", "9")
    word = place.verb("resume", "s", "--max-time", "soon")
    none = place.verb("resume", "s", "--max-time", "0s")

    assert [grid.code, word.code, none.code] == [2, 2, 2]
    assert "study grid is a grid" in grid.err
    assert "max_time=soon" in word.err
    assert "max_time=0.0" in none.err
    assert [told.err.count("\n") for told in (grid, word, none)] == [1, 1, 1]
    assert read_story(place.store.at("s")).limits == {}
