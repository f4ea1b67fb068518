"""Replays are fair: a budget is a budget, and nobody looks at what they are scored by."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import EPOCHS, POINTS, SPACE, bowl, make_recording
from replay.racing import CONFIRMED, OURS, SHARE, Clock, Racer, Roles, at, optuna_loop, start_of

from sweep.search.space import Point, identity

QUICK = {name: racer for name, racer in OURS.items() if name != "gp"}
RACERS = {**QUICK, "Optuna's loop": optuna_loop}
every_racer = pytest.mark.parametrize("racer", RACERS.values(), ids=RACERS)
LONG_S = 1e6


def other_world(point: Point, seed: int, *, unseen: int) -> float:
    """Be the bowl, but for a seed that turns it upside down."""
    return 1.0 - bowl(point, seed) if seed == unseen else bowl(point, seed)


@given(st.sets(st.integers(0, 99), min_size=3, max_size=6), st.integers(0, 500))
def test_every_seed_of_a_recording_has_one_role(seeds: set[int], number: int) -> None:
    roles = Roles.of(sorted(seeds), number)

    assert sorted([roles.seen, roles.fresh, *roles.unseen]) == sorted(seeds)


def test_six_replays_deal_three_seeds_in_every_way() -> None:
    dealt = Counter(Roles.of([0, 1, 2], number).seen for number in range(6))

    assert dealt == {0: 2, 1: 2, 2: 2}
    assert len(set(map(str, Roles.all([0, 1, 2])))) == 6


@every_racer
def test_no_choice_looks_at_the_seed_that_scores(racer: Racer) -> None:
    recording = make_recording()
    unseen = Roles.of(recording.seeds, 0).unseen[0]
    turned = make_recording(partial(other_world, unseen=unseen))

    one, other = racer(recording, 0, 60.0), racer(turned, 0, 60.0)

    assert one.whole == other.whole
    assert [moment for moment, _ in one.steps] == [moment for moment, _ in other.steps]
    assert one.shown(60.0) != other.shown(60.0)


@every_racer
def test_nothing_begins_once_a_budget_is_spent(racer: Racer) -> None:
    clock = racer(make_recording(), 1, 40.0)

    assert 0 < clock.spent_s < 40.0 + EPOCHS


@every_racer
def test_a_replay_can_be_repeated(racer: Racer) -> None:
    recording = make_recording()

    assert racer(recording, 3, 50.0).steps == racer(recording, 3, 50.0).steps


@pytest.mark.parametrize("name", ["random", "sobol", "tpe"])
def test_who_may_train_everything_shows_the_best_of_the_seed_it_saw(name: str) -> None:
    recording = make_recording()
    clock = OURS[name](recording, 0, LONG_S)

    best = min(POINTS, key=lambda point: bowl(point, clock.roles.seen))
    assert clock.spent_s == len(POINTS) * EPOCHS
    assert clock.shown(LONG_S) == pytest.approx(bowl(best, clock.roles.unseen[0]))


def test_halving_trains_few_to_their_end() -> None:
    clock = OURS["halving"](make_recording(), 0, LONG_S)

    assert len(clock.lowest) == len(POINTS)
    assert len(clock.whole) == len(POINTS) // 3 // 3
    assert clock.spent_s < len(POINTS) * EPOCHS / 2


def lucky(point: Point, seed: int, *, seen: int) -> float:
    """Let one configuration be the best with the seed that is seen, and the worst otherwise."""
    if point == POINTS[0]:
        return 0.01 if seed == seen else 0.9
    return bowl(point, seed)


def test_a_fresh_seed_turns_a_lucky_one_down() -> None:
    recording = make_recording(partial(lucky, seen=Roles.of([0, 1, 2], 0).seen))
    clock = OURS["random"](recording, 0, LONG_S)
    moment_s = clock.spent_s / (1 - SHARE)

    assert clock.shown(moment_s) == pytest.approx(0.9)
    confirmed = clock.confirmed(moment_s)
    assert confirmed is not None
    assert confirmed < 0.2


def test_a_fresh_seed_costs_what_its_trainings_cost() -> None:
    recording = make_recording(partial(lucky, seen=Roles.of([0, 1, 2], 0).seen))
    clock = Clock(recording, 0)
    for point in POINTS[:4]:
        for epoch in range(1, EPOCHS + 1):
            clock.epoch(point, epoch)
    two_more_s = 2 * EPOCHS / SHARE

    assert clock.confirmed(two_more_s - 0.1) == clock.shown((1 - SHARE) * two_more_s)
    assert clock.confirmed(two_more_s + 0.1) != clock.shown((1 - SHARE) * two_more_s)


def test_the_best_whole_trainings_alone_are_confirmed() -> None:
    clock = Clock(make_recording(), 0)
    order = sorted(POINTS, key=lambda point: bowl(point, clock.roles.seen), reverse=True)
    for point in order:
        last = EPOCHS if point in order[:-3] else EPOCHS - 1  # the best three rest before their end
        for epoch in range(1, last + 1):
            clock.epoch(point, epoch)

    known = order[:-3][-CONFIRMED:]
    best = min(known, key=lambda point: bowl(point, clock.roles.fresh))
    assert clock.confirmed(LONG_S) == pytest.approx(bowl(best, clock.roles.unseen[0]))


def test_before_its_first_result_a_search_shows_nothing() -> None:
    steps = [(1.0, 0.5), (3.0, 0.2)]

    assert [at(steps, moment) for moment in (0.5, 1.0, 2.9, 3.0)] == [None, 0.5, 0.5, 0.2]


def test_people_begin_differently_within_the_space() -> None:
    starts = [start_of(make_recording(), number) for number in range(20)]

    assert all(start in SPACE for start in starts)
    assert len(set(map(identity, starts))) > 1
