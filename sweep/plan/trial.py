"""Say what a trial is, and what is recorded of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Value = Any  # one JSON value; a narrower type costs a cast at every use


class State(StrEnum):
    """Where a trial stands; the last five are final and stand in a terminal record."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    INFEASIBLE = "INFEASIBLE"
    PRUNED = "PRUNED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def terminal(self) -> bool:
        """Tell whether a trial in this state is over."""
        return self not in (State.PENDING, State.RUNNING, State.PAUSED)


@dataclass(frozen=True, slots=True)
class Trial:
    """One hyperparameter configuration, trained once."""

    number: int
    base: int  # index of the composed base in the round
    values: Mapping[str, Value]  # dotted key to value, set on that base
    same_as: int | None = None  # the trial that is trained in its stead, equal in effect


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a trial did not complete, and what may help."""

    type: str  # the exception's type, or 'Diverged', 'Killed', ...
    text: str
    remedy: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of one trial: one JSON line of a records file."""

    trial: int
    state: State
    objective: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    history: Mapping[str, list[float | None]] = field(default_factory=dict)  # one value an epoch
    error: Failure | None = None
    attempt: int = 1
    pack: int = 0
    round: int = 1
    started: float = 0.0  # UTC seconds since 1970
    finished: float = 0.0
    cpu_seconds: float = 0.0  # that went into the result, those before its checkpoint included
    gpu_seconds: float = 0.0  # the same, of a GPU held
    attempt_cpu_seconds: float = 0.0  # of this attempt alone, whatever came of it
    attempt_gpu_seconds: float = 0.0
    continued: str | None = None  # key of the checkpoint that it went on from
    device: str = "cpu"
    versions: Mapping[str, str] = field(default_factory=dict)
    value: Value = None  # what the task returned, as encode_value wrote it
    weights: str | None = None  # store key of the weights, where they were kept
    reused_from: str | None = None  # study/trial that was trained, where this one was not


def to_json(record: Record) -> dict[str, Value]:
    """Turn a record into plain JSON values; numbers that JSON lacks become None."""
    error = record.error
    return {
        "trial": record.trial,
        "state": record.state.value,
        "objective": _finite(record.objective),
        "metrics": {k: _finite(v) for k, v in record.metrics.items()},
        "history": {k: [_finite(x) for x in v] for k, v in record.history.items()},
        "error": None
        if error is None
        else {
            "type": error.type,
            "text": error.text,
            "remedy": error.remedy,
            "trace": error.trace,
        },
        "attempt": record.attempt,
        "pack": record.pack,
        "round": record.round,
        "started": record.started,
        "finished": record.finished,
        "cpu_seconds": record.cpu_seconds,
        "gpu_seconds": record.gpu_seconds,
        "attempt_cpu_seconds": record.attempt_cpu_seconds,
        "attempt_gpu_seconds": record.attempt_gpu_seconds,
        "continued": record.continued,
        "device": record.device,
        "versions": dict(record.versions),
        "value": record.value,
        "weights": record.weights,
        "reused_from": record.reused_from,
    }


def from_json(data: Mapping[str, Value]) -> Record:
    """Read a record back.

    Raises ValueError where the mapping is not a record.
    """
    try:
        error = data.get("error")
        objective = data.get("objective")
        return Record(
            trial=_whole(data["trial"]),
            state=State(data["state"]),
            objective=None if objective is None else float(objective),
            metrics={k: float(v) for k, v in data.get("metrics", {}).items() if v is not None},
            history={k: list(v) for k, v in data.get("history", {}).items()},
            error=None if error is None else Failure(**error),
            attempt=_whole(data.get("attempt", 1)),
            pack=_whole(data.get("pack", 0)),
            round=_whole(data.get("round", 1)),
            started=float(data.get("started", 0.0)),
            finished=float(data.get("finished", 0.0)),
            cpu_seconds=float(data.get("cpu_seconds", 0.0)),
            gpu_seconds=float(data.get("gpu_seconds", 0.0)),
            attempt_cpu_seconds=float(data.get("attempt_cpu_seconds", data.get("cpu_seconds", 0))),
            attempt_gpu_seconds=float(data.get("attempt_gpu_seconds", data.get("gpu_seconds", 0))),
            continued=data.get("continued"),
            device=str(data.get("device", "cpu")),
            versions=dict(data.get("versions", {})),
            value=data.get("value"),
            weights=data.get("weights"),
            reused_from=data.get("reused_from"),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error_:
        raise ValueError(f"not a record: {error_!r}") from error_


def _finite(number: float | None) -> float | None:
    if number is None or not math.isfinite(number):
        return None
    return number


def _whole(number: Value) -> int:
    if isinstance(number, bool) or not isinstance(number, int):
        raise ValueError(f"{number!r} is not a whole number")
    return number
