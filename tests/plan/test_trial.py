import json
import math
from typing import Any

import pytest
from hypothesis import given
from plan_builders import completed, records

from sweep.plan.trial import Record, State, from_json, to_json


@given(records)
def test_a_record_comes_back_as_it_was_written(record: Record) -> None:
    text = json.dumps(to_json(record), allow_nan=False)

    assert from_json(json.loads(text)) == record


def test_numbers_that_json_lacks_are_left_out() -> None:
    record = completed(
        objective=math.inf, metrics={"a": math.nan, "b": 1.0}, history={"loss": [1.0, math.nan]}
    )

    read = from_json(to_json(record))

    assert read.objective is None
    assert read.metrics == {"b": 1.0}
    assert read.history == {"loss": [1.0, None]}


@pytest.mark.parametrize("state", State)
def test_a_trial_is_over_in_the_last_five_states(state: State) -> None:
    assert state.terminal is (state not in (State.PENDING, State.RUNNING, State.PAUSED))


@pytest.mark.parametrize(
    "change",
    [
        {"trial": None},
        {"trial": "3"},
        {"trial": True},
        {"state": "DONE"},
        {"objective": "low"},
        {"metrics": 3},
        {"history": {"loss": 1.0}},
        {"error": {"type": "OSError"}},
        {"attempt": 1.5},
    ],
)
def test_another_mapping_is_no_record(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a record"):
        from_json(to_json(completed()) | change)


@pytest.mark.parametrize("data", [3, [], "x", None, {}])
def test_another_value_is_no_record(data: Any) -> None:
    with pytest.raises(ValueError, match="not a record"):
        from_json(data)
