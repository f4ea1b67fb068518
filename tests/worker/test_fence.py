from __future__ import annotations

from pathlib import Path

import pytest
from lives import make_study

from sweep.plan import layout
from sweep.plan.packing import Pack
from sweep.plan.records import to_line
from sweep.plan.round import Round
from sweep.plan.trial import Record, State
from sweep.store import Store
from sweep.study.opening import add_round
from sweep.study.reading import Reader, open_ends
from sweep.worker.fence import Fence, Fenced


def fence(place: Store, *, attempt: int = 1) -> Fence:
    return Fence(place, round_number=1, pack=0, attempt=attempt, every_s=0.0, now=lambda: 0.0)


def claim(place: Store, number: int, body: bytes = b'{"claimed": 0}') -> None:
    place.create(layout.attempt_key(0, number), body)


def add(place: Store, number: int, fences: dict[str, int]) -> None:
    packs = [Pack(number, (0,))]
    add_round(place, Round(number=number, bases=[], trials=[], packs=packs, fences=fences))


def test_the_newest_attempt_of_a_pack_is_not_fenced(tmp_path: Path) -> None:
    place = make_study(tmp_path)
    for number in (1, 2):
        claim(place, number)

    fence(place, attempt=2).check()


def test_a_newer_attempt_fences_the_older_ones(tmp_path: Path) -> None:
    place = make_study(tmp_path)
    for number in (1, 2):
        claim(place, number)

    with pytest.raises(Fenced, match="fenced by attempt 2"):
        fence(place).check()


def test_a_later_round_fences_the_attempts_that_it_names_and_no_other(tmp_path: Path) -> None:
    place = make_study(tmp_path)
    claim(place, 1)
    add(place, 2, {layout.results_key(5, 1): 0, layout.results_key(0, 9): 7})
    own = fence(place)
    own.check()

    add(place, 3, {layout.results_key(0, 1, 4): 0})

    with pytest.raises(Fenced, match="fenced by round 3"):
        own.check()


def test_the_store_is_asked_once_in_a_while(tmp_path: Path) -> None:
    place = make_study(tmp_path)
    now = [0.0]
    own = Fence(place, round_number=1, pack=0, attempt=1, every_s=1.0, now=lambda: now[0])
    claim(place, 2)

    own.check()
    now[0] = 1.0

    with pytest.raises(Fenced):
        own.check()


def test_of_an_attempt_that_is_given_up_all_parts_are_fenced_and_later_ones_too(
    tmp_path: Path,
) -> None:
    place = make_study(tmp_path)
    claim(place, 1)
    claim(place, 2, b'{"claimed": 0, "closed": 1}')
    before, later, closed = (
        to_line(Record(trial, State.COMPLETED, 0.5, attempt=attempt))
        for trial, attempt in ((0, 1), (1, 1), (2, 2))
    )
    place.append(layout.results_key(0, 1, 2), before)
    place.append(layout.results_key(0, 2, 3), closed)

    fences = open_ends(place)
    place.append(layout.results_key(0, 1, 2), later)
    place.append(layout.results_key(0, 1, 3), later)
    reader = Reader(place, fences)
    reader.look()

    assert sorted(reader.ledger.records) == [0, 2]
