from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_builders import make_trial

from sweep.plan.packing import Pack, fused_capacity, local_capacity, pack, pod_capacity
from sweep.plan.trial import Trial

costs = st.integers(1, 1000)
trials_to_pack = st.lists(st.tuples(st.integers(0, 3), costs), max_size=60).map(
    lambda rows: [make_trial(i, shape=shape, cost=cost) for i, (shape, cost) in enumerate(rows)]
)
capacities = st.integers(1, 9)


def packed(trials: Sequence[Trial], capacity: int, *, first_number: int = 0) -> list[Pack]:
    return pack(
        trials,
        same=lambda trial: trial.values["shape"],
        cost=lambda trial: float(trial.values["cost"]),
        capacity=capacity,
        first_number=first_number,
    )


def members(trials: Sequence[Trial], found: Pack) -> list[Trial]:
    return [trials[number] for number in found.trials]


@given(trials_to_pack, capacities)
def test_every_trial_is_in_exactly_one_pack(trials: list[Trial], capacity: int) -> None:
    packs = packed(trials, capacity)

    assert sorted(n for each in packs for n in each.trials) == list(range(len(trials)))
    assert [each.number for each in packs] == list(range(len(packs)))


@given(trials_to_pack, capacities)
def test_a_pack_holds_one_shape_and_no_more_than_its_capacity(
    trials: list[Trial], capacity: int
) -> None:
    for each in packed(trials, capacity):
        assert 1 <= len(each.trials) <= capacity
        assert len({trial.values["shape"] for trial in members(trials, each)}) == 1


@given(trials_to_pack, capacities)
def test_no_more_packs_are_made_than_needed_and_those_of_a_shape_are_of_like_size(
    trials: list[Trial], capacity: int
) -> None:
    sizes: dict[int, list[int]] = {}
    for each in packed(trials, capacity):
        shape = members(trials, each)[0].values["shape"]
        sizes.setdefault(shape, []).append(len(each.trials))

    for own in sizes.values():
        assert len(own) == -(-sum(own) // capacity)
        assert max(own) - min(own) <= 1


@given(trials_to_pack, capacities)
def test_long_packs_come_first(trials: list[Trial], capacity: int) -> None:
    totals = [
        sum(trial.values["cost"] for trial in members(trials, each))
        for each in packed(trials, capacity)
    ]

    assert totals == sorted(totals, reverse=True)


@given(trials_to_pack, capacities, st.permutations(["a", "b", "c", "d"]))
def test_packs_do_not_depend_on_what_shapes_are_called(
    trials: list[Trial], capacity: int, names: list[str]
) -> None:
    renamed = [
        make_trial(t.number, shape=names[t.values["shape"]], cost=t.values["cost"]) for t in trials
    ]

    assert packed(renamed, capacity) == packed(trials, capacity)


def test_a_later_round_goes_on_counting_packs() -> None:
    trials = [make_trial(i, shape=i, cost=1) for i in range(3)]

    assert [each.number for each in packed(trials, 4, first_number=7)] == [7, 8, 9]


@given(st.integers(1, 5000), st.integers(1, 16))
def test_workers_have_eight_packs_each_where_trials_suffice(trials: int, workers: int) -> None:
    capacity = local_capacity(trials, workers=workers)

    assert 1 <= capacity <= 16
    assert -(-trials // capacity) >= min(trials, 8 * workers)


def test_packs_of_a_large_study_are_full() -> None:
    assert local_capacity(46_656, workers=2) == 16


@pytest.mark.parametrize(
    ("trials", "pods", "lanes", "capacity"),
    [(1, 10, 1, 1), (200, 10, 1, 10), (7, 10, 4, 4), (62_208, 10, 1, 1000)],
)
def test_a_pod_gets_two_packs_and_never_fewer_trials_than_it_trains_at_a_time(
    trials: int, pods: int, lanes: int, capacity: int
) -> None:
    assert pod_capacity(trials, pods=pods, lanes=lanes) == capacity


def test_fused_trials_make_packs_of_their_own_with_a_capacity_of_their_own() -> None:
    trials = [make_trial(number, shape=0, cost=1) for number in range(12)]

    found = pack(
        trials,
        same=lambda _: None,
        cost=lambda _: 1.0,
        capacity=2,
        fused=lambda trial: trial.number < 8,
        fused_capacity=100,
    )

    assert [each.trials for each in found if each.fused] == [tuple(range(8))]
    assert [len(each.trials) for each in found if not each.fused] == [2, 2]


def test_a_fused_pack_fills_its_lanes_before_there_are_more_of_them() -> None:
    assert fused_capacity(100, workers=8, lanes=64) == 64
    assert fused_capacity(2000, workers=8, lanes=64) == 125
    assert fused_capacity(100_000, workers=1, lanes=64) == 1000
