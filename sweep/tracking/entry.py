"""Decide what MLflow shows of one trial, from its record alone."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from sweep.plan.trial import Failure, Record, State
from sweep.tracking.info import StudyInfo, TrialInfo
from sweep.tracking.names import LONGEST_TAG, key, text

PARENT = "mlflow.parentRunId"  # MLflow's own tag: folds children under their parent
PURPOSE = "sweep.purpose"  # a gate's trials do not compete in the study
CURVE = "epoch/"  # curves stand apart from results, so that a column never shows a last epoch

# INFEASIBLE and PRUNED are results of a search, not errors: MLflow's red cross is kept for trials
# that someone has to look at. The tag sweep.state, a column of the ready view, tells them apart.
STATUS: Mapping[State, str] = {
    State.PENDING: "SCHEDULED",
    State.RUNNING: "RUNNING",
    State.PAUSED: "SCHEDULED",
    State.COMPLETED: "FINISHED",
    State.INFEASIBLE: "FINISHED",
    State.PRUNED: "FINISHED",
    State.FAILED: "FAILED",
    State.CANCELLED: "KILLED",
}


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one metric."""

    key: str
    value: float
    step: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one run of MLflow has to hold."""

    trial: int
    name: str
    status: str
    started_ms: int
    ended_ms: int | None  # None while the trial may go on
    tags: Mapping[str, str]
    params: Mapping[str, str]
    points: tuple[Point, ...]

    @property
    def life(self) -> str:
        """Name the one execution of the trial that this shows."""
        return self.tags["sweep.life"]

    @property
    def digest(self) -> str:
        """Name the whole content."""
        return self.tags["sweep.record"]


def study_tags(study: StudyInfo, *, role: str) -> dict[str, str]:
    """Write the tags by which the runs of a study are found, and those that each of them has."""
    known = {
        "mlflow.user": study.user,
        "mlflow.source.name": study.job,
        "mlflow.source.type": "JOB",
        "mlflow.source.git.commit": study.git_sha,
        "sweep.data_hash": study.data_hash,
        **{f"sweep.version.{name}": value for name, value in study.versions.items()},
        **study.tags,
        "sweep.study": study.id,
        "sweep.study_started": stamp(study.started),
        "sweep.role": role,
    }
    return {key(name): text(value, longest=LONGEST_TAG) for name, value in known.items() if value}


def study_filter(study: StudyInfo, *, role: str) -> str:
    """Write MLflow's search expression for the runs of one study, and of no other."""
    return (
        f"tags.`sweep.study` = '{study.id}' and tags.`sweep.role` = '{role}'"
        f" and tags.`sweep.study_started` = '{stamp(study.started)}'"
    )


def live_tags(
    study: StudyInfo, *, trial: TrialInfo, record: Record, parent: str | None
) -> dict[str, str]:
    """Write the tags of a trial's run, all of them known when it starts."""
    tags = study_tags(study, role="trial") | {
        "sweep.trial": str(trial.number),
        PURPOSE: trial.purpose,
        "sweep.state": record.state.value,
        "sweep.round": str(record.round),
        "sweep.pack": str(record.pack),
        "sweep.attempt": str(record.attempt),
        "sweep.device": record.device,
        "sweep.life": f"{record.round}.{record.attempt}.{stamp(record.started)}",
        **{f"sweep.version.{name}": value for name, value in record.versions.items()},
        **trial.tags,
    }
    if record.reused_from is not None:
        tags["sweep.reused_from"] = record.reused_from
    if trial.same:
        tags["sweep.same_as"] = ",".join(map(str, trial.same))
    if parent is not None:
        tags[PARENT] = parent
    return {key(name): text(value, longest=LONGEST_TAG) for name, value in tags.items()}


def make_entry(study: StudyInfo, *, trial: TrialInfo, record: Record, parent: str | None) -> Entry:
    """Say what MLflow has to hold of `trial`, given its record."""
    tags = live_tags(study, trial=trial, record=record, parent=None)
    if record.error is not None:
        tags["sweep.error"] = text(f"{record.error.type}: {record.error.text}", longest=500)
        tags["mlflow.note.content"] = text(_explain(record.error), longest=LONGEST_TAG)
    params = live_params(trial)
    points = (*curve(record), *_results(study, record))
    content = [trial.name, params, tags, [(p.key, p.value, p.step, p.at_ms) for p in points]]
    # Not the parent: a child that moves to a new parent run need not be written anew.
    tags["sweep.record"] = digest(content)
    if parent is not None:
        tags[PARENT] = parent
    return Entry(
        trial=trial.number,
        name=trial.name,
        status=STATUS[record.state],
        started_ms=millis(record.started),
        ended_ms=millis(record.finished) if record.state.terminal else None,
        tags=tags,
        params=params,
        points=points,
    )


def live_params(trial: TrialInfo) -> dict[str, str]:
    """Write the settings of a trial as MLflow's parameters."""
    return {key(name): text(value) for name, value in trial.params.items()}


def curve(record: Record) -> list[Point]:
    """Spread the epochs of a record evenly over its life: equal records give equal points."""
    points = []
    for name, values in record.history.items():
        for step, value in enumerate(values, start=1):
            if value is not None and math.isfinite(value):
                at = record.started + (record.finished - record.started) * step / len(values)
                points.append(Point(key(CURVE + name), float(value), step, millis(at)))
    return points


def digest(content: object) -> str:
    """Name JSON content by its hash."""
    written = json.dumps(content, sort_keys=True)
    return hashlib.sha256(written.encode()).hexdigest()[:16]


def millis(seconds: float) -> int:
    """Turn UTC seconds into the whole milliseconds of MLflow."""
    return round(seconds * 1000)


def stamp(seconds: float) -> str:
    """Write a time as a tag that can be compared."""
    return str(millis(seconds))


def _results(study: StudyInfo, record: Record) -> list[Point]:
    results: dict[str, float | None] = dict(record.metrics)
    results[study.objective] = record.objective
    if record.cpu_seconds > 0:
        results["cpu_seconds"] = record.cpu_seconds
    at_ms = millis(record.finished)
    return [
        Point(key(name), float(value), 0, at_ms)
        for name, value in results.items()
        if value is not None and math.isfinite(value)
    ]


def _explain(error: Failure) -> str:
    parts = [f"**{error.type}**: {error.text}"]
    if error.remedy:
        parts.append(f"What may help: {error.remedy}")
    if error.trace:
        parts.append(f"```\n{error.trace.strip()}\n```")
    return "\n\n".join(parts)
