from __future__ import annotations

import pytest

from sweep.errors import CorruptPlan
from sweep.plan.contest import (
    Champion,
    Contest,
    Side,
    contest_from_bytes,
    contest_to_bytes,
    seeds_of_a_night,
    take_on,
)
from sweep.plan.trial import Trial

TONIGHT = {"data.horizon": 24, "data.path": "/b.csv", "optim.lr": 0.001, "model.layers": 1}
QUESTION = ("data.horizon", "data.path", "tracking.")


def test_each_night_has_seeds_of_its_own_and_a_restart_the_same() -> None:
    one, other = (seeds_of_a_night(name, [], 5) for name in ("night-1", "night-2"))

    assert one == seeds_of_a_night("night-1", [], 5)
    assert not set(one) & set(other)
    assert len(one) == 5


def test_a_seed_that_was_used_is_left_out() -> None:
    first, *rest = seeds_of_a_night("night-1", [], 5)

    assert seeds_of_a_night("night-1", [first, 0], 4) == tuple(rest)


def test_a_champion_takes_on_tonights_question() -> None:
    champion = {**TONIGHT, "data.horizon": 48, "data.path": "/a.csv", "optim.lr": 0.01}

    values, notes = take_on(champion, tonight=TONIGHT, question=QUESTION)

    assert values == {"optim.lr": 0.01}
    assert notes == ["was made for data.horizon=48; tonight's holds for both"]


def test_a_setting_that_tonights_code_does_not_know_is_named() -> None:
    champion = {**TONIGHT, "model.gone": 3, "tracking.uri": "http://elsewhere"}

    values, notes = take_on(champion, tonight=TONIGHT, question=QUESTION)

    assert values == {}
    assert notes == ["has settings that tonight's code does not know: model.gone"]


def test_a_contest_is_read_back_as_written() -> None:
    contest = Contest(
        winner=Side(name="w", trials=(5, 6), seeds=(1, 2)),
        champions=(
            Champion(name="c", study="s", trial=3, config={"x": 1}, scores=((1, 0.5), (2, 0.25))),
        ),
        sides=(Side(name="c", trials=(7, 8), seeds=(1, 2)),),
        again=Side(name="c, again", trials=(9,), seeds=(4,)),
        trials=(Trial(5, 0, {"x": 2, "seed": 1}),),
        notes=("one",),
    )

    found = contest_from_bytes(contest_to_bytes(contest), where="here")

    assert found == contest
    assert found.numbers == {5}


@pytest.mark.parametrize("data", [b"", b"{}", b'{"format": 2}'])
def test_a_damaged_contest_is_named(data: bytes) -> None:
    with pytest.raises(CorruptPlan, match="here"):
        contest_from_bytes(data, where="here")
