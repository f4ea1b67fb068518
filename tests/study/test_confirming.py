"""hydra.sweeper.confirm: the best of a search again, with fresh seeds, through the real command."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from clients import Place, finish, kill, wait_until

from sweep.plan import layout
from sweep.plan.round import study_to_bytes
from sweep.plan.trial import State

HERE = "hydra.launcher.cluster=local"


def seeds_of(place: Place, x: float) -> list[int]:
    fresh = [t for t in place.read().trials if t.number > 3 and t.values["x"] == x]
    return [trial.values["train.seed"] for trial in fresh]


def test_the_best_of_a_grid_are_trained_again_and_fresh_seeds_decide(place: Place) -> None:
    ended = place.multirun("x=1,2,2.5,3.5", "train.seed=0", HERE, "hydra.sweeper.confirm=2x5")

    assert ended.code == 0
    assert "confirm  the best 2 again with the seeds 1, 2, 3, 4, 5: 10 trials" in ended.out
    state = place.read()
    best = state.board().best
    assert best is not None
    assert best.confirmed
    assert seeds_of(place, 2.5) == seeds_of(place, 3.5) == [1, 2, 3, 4, 5]
    scored = json.loads(state.place.read(layout.WINNER))
    assert [item["trial"] for item in scored] == list(best.trials)
    assert {item["seed"] for item in scored} == {1, 2, 3, 4, 5}
    assert "is known" in ended.out or "Better than" in ended.out


def test_a_strategy_is_confirmed_once_at_its_end(place: Place) -> None:
    ended = place.multirun(
        "hydra/sweeper=guide",
        "hydra.sweeper.strategy=random",
        "hydra.sweeper.max_trials=4",
        "hydra.sweeper.batch=2",
        "x=interval(0, 6)",
        HERE,
        "hydra.sweeper.confirm=2x5",
    )

    assert ended.code == 0
    assert ended.out.count("confirm  the best 2 again with the seeds") == 1
    assert len(place.records()) == 4 + 10


def test_a_confirmation_that_is_cut_short_goes_on_as_it_was_meant(place: Place) -> None:
    words = ("x=1,2,2.5", HERE, "hydra.sweeper.confirm=2x5", "hydra.launcher.parallelism=1")
    client = place.start(*words, "epoch_s=0.05")
    wait_until(lambda: len(place.ended()) >= 5)
    kill(client)
    meant = place.store.at("s").read(layout.SELECTION)

    ended = finish(place.resume())

    assert ended.code == 0
    assert place.store.at("s").read(layout.SELECTION) == meant
    assert len(place.records()) == 3 + 10
    assert all(record.state is State.COMPLETED for record in place.records().values())
    assert place.read().board().ranked[0].confirmed


def test_a_client_that_died_before_the_confirmation_leaves_it_to_resume(place: Place) -> None:
    place.multirun("x=1,2,2.5", HERE)
    state = place.read()
    state.place.write(layout.STUDY, study_to_bytes(replace(state.study, confirm="2x5")))

    ended = finish(place.resume())

    assert ended.code == 0
    assert len(place.records()) == 3 + 10


def test_one_fresh_seed_chooses_and_says_no_more_than_it_knows(place: Place) -> None:
    ended = place.multirun("x=1,2,2.5,3.5", "train.seed=0", HERE, "hydra.sweeper.confirm=2x1")

    assert ended.code == 0
    best = place.read().board().best
    assert best is not None
    assert best.confirmed
    assert seeds_of(place, 2.5) == seeds_of(place, 3.5) == [1]
    assert "differs is unknown: 1 seed in common, 5 are needed" in ended.out
    assert "Better than" not in ended.out
    assert "is known" not in ended.out


@pytest.mark.parametrize("words", ["3x0", "some"])
def test_a_wrong_wish_is_refused_before_anything_runs(place: Place, words: str) -> None:
    ended = place.multirun("x=1,2", HERE, f"hydra.sweeper.confirm={words}")

    assert ended.code == 2
    assert f"hydra.sweeper.confirm={words}" in ended.err
    assert "Traceback" not in ended.err
    assert not place.planned()
