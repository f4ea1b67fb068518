from __future__ import annotations

import pytest

from sweep.errors import BadInput
from sweep.plan.trial import Record, State
from sweep.search.stops import Stops, gpu_hours
from sweep.search.strategy import Tried, best_of, tried


def make_past(count: int, *, gpu_s: float = 0.0) -> list[Tried]:
    record = Record(0, State.COMPLETED, 0.5, gpu_seconds=gpu_s)
    return [Tried(number, {"x": number}, 0.5, (record,)) for number in range(count)]


def test_without_limits_there_is_always_room() -> None:
    stops = Stops()

    assert stops.room(make_past(10**4)) is None
    assert stops.reached(make_past(10**4), elapsed_s=1e9) is None


def test_seeds_count_as_trials() -> None:
    stops = Stops(max_trials=10)

    assert stops.room(make_past(2), seeds=3) == 1
    assert stops.reached(make_past(2), elapsed_s=0, seeds=3) is None
    assert "9 trials" in str(stops.reached(make_past(3), elapsed_s=0, seeds=3))


def test_time_ends_a_search() -> None:
    stops = Stops(max_time_s=60)

    assert stops.reached([], elapsed_s=59.9) is None
    assert "hydra.sweeper.max_time is 60 s" in str(stops.reached([], elapsed_s=60))


def test_gpu_hours_are_those_of_all_records() -> None:
    past = make_past(4, gpu_s=900)

    assert gpu_hours(past) == 1.0
    assert Stops(gpu_hours=1.1).reached(past, elapsed_s=0) is None
    assert "the budget is 1" in str(Stops(gpu_hours=1).reached(past, elapsed_s=0))


@pytest.mark.parametrize("value", [0, -1, float("inf"), True, "many"])
def test_what_is_no_limit_is_refused(value: object) -> None:
    with pytest.raises(BadInput, match="above 0"):
        Stops(max_time_s=value)  # type: ignore[arg-type]


def test_a_configuration_is_judged_when_all_its_seeds_are_over() -> None:
    point = {"x": 1}
    one, other = Record(0, State.COMPLETED, 1.0), Record(1, State.COMPLETED, 3.0)
    running = Record(1, State.RUNNING)

    assert tried(0, point, [one, running], seeds=2, direction="minimize").cost is None
    assert tried(0, point, [one, other], seeds=2, direction="minimize").cost == 2.0
    assert tried(0, point, [one, other], seeds=2, direction="maximize").cost == -2.0


@pytest.mark.parametrize("state", [State.INFEASIBLE, State.FAILED, State.CANCELLED])
def test_a_seed_without_a_result_leaves_its_configuration_without_one(state: State) -> None:
    records = [Record(0, State.COMPLETED, 1.0), Record(1, state)]

    found = tried(0, {"x": 1}, records, seeds=2, direction="maximize")

    assert found.ended
    assert found.cost == float("inf")
    assert best_of([found]) is None
