from __future__ import annotations

from report_builders import by_trial, completed, diverged, failed

from sweep.plan.trial import Record, State
from sweep.report.failures import find_reasons


def test_reasons_are_grouped_by_type_and_failures_come_before_divergences() -> None:
    records = by_trial(
        completed(0, 0.1), diverged(1), diverged(2), failed(4, "no memory\nlong trace"), failed(3)
    )

    reasons = find_reasons(records)

    assert [(r.state, r.type, r.text, r.trials) for r in reasons] == [
        (State.FAILED, "MemoryError", "no memory", (3, 4)),
        (State.INFEASIBLE, "Diverged", "loss is not finite at epoch 3", (1, 2)),
    ]


def test_a_twins_copy_of_a_record_counts_once() -> None:
    record = failed(0)

    (reason,) = find_reasons({0: record, 5: record})

    assert reason.trials == (0,)


def test_a_failure_without_a_reason_says_so() -> None:
    (reason,) = find_reasons(by_trial(Record(0, State.FAILED)))

    assert reason.text == "no reason was recorded"
