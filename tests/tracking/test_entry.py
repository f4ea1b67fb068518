import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tracking_builders import STARTED, make_record, make_study, make_trial

from sweep.plan.trial import Failure, Record, State
from sweep.tracking.entry import Entry, make_entry, study_filter
from sweep.tracking.info import Purpose, TrialInfo


def entry(record: Record, *, trial: TrialInfo | None = None, parent: str | None = None) -> Entry:
    return make_entry(make_study(), trial=trial or make_trial(), record=record, parent=parent)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.COMPLETED, "FINISHED"),
        (State.INFEASIBLE, "FINISHED"),
        (State.PRUNED, "FINISHED"),
        (State.FAILED, "FAILED"),
        (State.CANCELLED, "KILLED"),
        (State.PAUSED, "SCHEDULED"),
    ],
)
def test_only_what_someone_has_to_look_at_is_shown_as_failed(state: State, status: str) -> None:
    shown = entry(make_record(state=state))

    assert shown.status == status
    assert shown.tags["sweep.state"] == state


@pytest.mark.parametrize("purpose", ["search", "confirm", "gate"])
def test_a_run_says_what_its_trial_was_trained_for(purpose: Purpose) -> None:
    shown = entry(make_record(), trial=make_trial(purpose=purpose))

    assert shown.tags["sweep.purpose"] == purpose


def test_a_trial_that_may_go_on_has_no_end() -> None:
    assert entry(make_record(state=State.PAUSED)).ended_ms is None
    assert entry(make_record()).ended_ms == round((STARTED + 8) * 1000)


def test_a_result_and_a_curve_of_one_name_stand_apart() -> None:
    shown = entry(make_record(objective=0.1, history={"val_mse": [0.3, 0.1, 0.2]}))

    values = {(p.key, p.step): p.value for p in shown.points}
    assert values["val_mse", 0] == 0.1
    assert [values["epoch/val_mse", step] for step in (1, 2, 3)] == [0.3, 0.1, 0.2]


def test_an_epoch_without_a_number_is_left_out() -> None:
    shown = entry(make_record(objective=math.inf, history={"val_mse": [0.3, None, math.nan]}))

    assert [(p.key, p.step) for p in shown.points if "val_mse" in p.key] == [("epoch/val_mse", 1)]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=200), st.floats(0, 1e5))
def test_epochs_lie_in_order_within_the_life_of_the_trial(
    losses: list[float], seconds: float
) -> None:
    record = make_record(history={"loss": losses}, finished=STARTED + seconds)

    shown = entry(record)

    times = [p.at_ms for p in shown.points if p.key == "epoch/loss"]
    assert times == sorted(times)
    assert shown.ended_ms is not None
    assert shown.started_ms <= times[0] <= times[-1] <= shown.ended_ms


def test_equal_records_give_equal_entries() -> None:
    assert entry(make_record()) == entry(make_record())


@pytest.mark.parametrize("change", [{"objective": 0.2}, {"attempt": 2}, {"state": State.FAILED}])
def test_another_record_has_another_digest(change: dict[str, object]) -> None:
    assert entry(make_record(**change)).digest != entry(make_record()).digest


def test_a_move_to_another_parent_leaves_the_digest() -> None:
    assert entry(make_record(), parent="a").digest == entry(make_record(), parent="b").digest


def test_equals_in_effect_are_a_tag_of_the_one_that_is_trained() -> None:
    shown = entry(make_record(), trial=make_trial(same=(3, 5)))

    assert shown.tags["sweep.same_as"] == "3,5"


def test_a_failure_is_told_where_a_person_reads_it() -> None:
    failure = Failure("Diverged", "loss was nan in epoch 3", remedy="lower the learning rate")

    shown = entry(make_record(state=State.INFEASIBLE, error=failure))

    assert shown.tags["sweep.error"] == "Diverged: loss was nan in epoch 3"
    assert "lower the learning rate" in shown.tags["mlflow.note.content"]


def test_two_studies_of_one_name_are_told_apart_by_their_start() -> None:
    mine, theirs = make_study("demo"), make_study("demo", started=STARTED + 0.001)

    assert study_filter(mine, role="trial") != study_filter(theirs, role="trial")
