from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from lives import BEGUN, DONE, PAUSED, make_study

from sweep.plan import layout
from sweep.plan.records import to_line
from sweep.plan.trial import Failure, Record, State
from sweep.store import Store
from sweep.worker.past import KILLED, Blame, Past, past_of

MOST = 3


def leave(
    place: Store, number: int, states: Sequence[tuple[int, State]], *, closed: bool = False
) -> None:
    """Leave an attempt and its records; a PAUSED one tells of a killed child."""
    body = {"claimed": 0, **({"closed": 1} if closed else {})}
    place.create(layout.attempt_key(0, number), json.dumps(body).encode())
    for trial, state in states:
        error = Failure(KILLED, "") if state is PAUSED else None
        record = Record(trial, state, attempt=number, error=error)
        part = 0 if state is PAUSED else 1
        place.append(layout.results_key(0, number, part), to_line(record))


def blamed(past: Past) -> dict[int, int]:
    return {t: n for t in range(3) if (n := past.blame.count(t, most=MOST))}


def test_nobody_is_blamed_for_an_attempt_that_was_closed(tmp_path: Path) -> None:
    place = make_study(tmp_path)
    leave(place, 1, [(0, BEGUN), (0, DONE), (1, BEGUN)], closed=True)

    past = past_of(place, pack=0, attempt=2)

    assert (past.done, blamed(past), past.open_ends) == ({0}, {}, 0)


def test_a_trial_that_ran_alone_when_its_worker_died_is_blamed_each_time(tmp_path: Path) -> None:
    place = make_study(tmp_path)
    for number in range(1, MOST + 1):
        leave(place, number, [(1, BEGUN)])

    past = past_of(place, pack=0, attempt=MOST + 1)

    assert blamed(past) == {1: MOST}
    assert past.open_ends == MOST


def test_trials_that_ran_side_by_side_are_never_given_up_for_that_alone(tmp_path: Path) -> None:
    place = make_study(tmp_path)
    for number in range(1, 6):
        leave(place, number, [(0, BEGUN), (1, BEGUN)])

    past = past_of(place, pack=0, attempt=6)

    assert blamed(past) == {0: MOST - 1, 1: MOST - 1}


def test_a_killed_child_is_remembered_though_its_attempt_was_closed(tmp_path: Path) -> None:
    place = make_study(tmp_path)
    leave(place, 1, [(2, BEGUN), (2, PAUSED), (2, BEGUN), (2, PAUSED)], closed=True)

    assert blamed(past_of(place, pack=0, attempt=2)) == {2: 2}


def test_a_death_that_was_written_down_is_not_counted_again(tmp_path: Path) -> None:
    place = make_study(tmp_path)
    leave(place, 1, [(2, BEGUN), (2, PAUSED)])

    assert blamed(past_of(place, pack=0, attempt=2)) == {2: 1}


def test_attempts_that_died_before_any_trial_are_counted(tmp_path: Path) -> None:
    place = make_study(tmp_path)
    for number in (1, 2):
        leave(place, number, [])

    assert past_of(place, pack=0, attempt=3).idle_deaths == 2


@pytest.mark.parametrize(("ends", "width"), [(0, 8), (1, 8), (2, 4), (3, 1), (9, 1)])
def test_the_width_goes_down_with_attempts_that_ended_without_a_word(ends: int, width: int) -> None:
    assert Past(open_ends=ends).width(8) == width
    assert Past(open_ends=ends).width(1) == 1


def test_a_death_alone_is_what_makes_up_the_last_of_the_count() -> None:
    blame = Blame()
    blame.shared[0] = 7
    before = blame.count(0, most=MOST)
    blame.alone[0] = 1

    assert (before, blame.count(0, most=MOST)) == (MOST - 1, MOST)
