"""Give Hydra's sweepers what each trial came to."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from hydra.core.utils import JobReturn, JobStatus

from sweep.errors import SweepError
from sweep.plan.trial import Failure, Record, State
from sweep.plan.values import decode_value


class TrialFailed(SweepError):
    """Stand for the exception of a trial that another process ran."""


def job_return(
    overrides: Sequence[str], record: Record | None, *, infeasible: float, task_name: str
) -> JobReturn:
    """Turn a terminal record into a JobReturn.

    An infeasible trial is COMPLETED with the worst number: third parties' sweepers cannot take
    NaN. Nothing unfinished is ever COMPLETED: without a record the trial is FAILED.
    """
    if record is None:
        text = "the trial has no record: its worker ended without a word; `resume` trains it"
        return _failed(overrides, Failure("TrialFailed", text), task_name)
    if record.state is State.COMPLETED:
        value = decode_value(record.value)
    elif record.state is State.INFEASIBLE:
        value = infeasible
    else:
        failure = record.error or Failure("TrialFailed", f"the trial is {record.state}")
        return _failed(overrides, failure, task_name)
    return JobReturn(
        overrides=overrides, status=JobStatus.COMPLETED, _return_value=value, task_name=task_name
    )


def _failed(overrides: Sequence[str], failure: Failure, task_name: str) -> JobReturn:
    return JobReturn(
        overrides=overrides,
        status=JobStatus.FAILED,
        _return_value=as_exception(failure),
        task_name=task_name,
    )


def as_exception(failure: Failure) -> BaseException:
    """Make an exception of the trial's own type, by name, and text; its trace is a note."""
    known = getattr(builtins, failure.type, None)
    error: BaseException
    if isinstance(known, type) and issubclass(known, Exception):
        try:
            error = known(failure.text)
        except TypeError:  # UnicodeDecodeError and its like want more than a text
            error = TrialFailed(f"{failure.type}: {failure.text}")
    else:
        error = type(failure.type, (TrialFailed,), {})(failure.text)
    if failure.trace:
        error.add_note(f"in the worker:\n{failure.trace}")
    return error
