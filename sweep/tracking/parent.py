"""Show a study as a whole: its parent run."""

from __future__ import annotations

import dataclasses
import math

from sweep.tracking.entry import Point, digest, millis, study_filter, study_tags
from sweep.tracking.failures import Away, Refused
from sweep.tracking.info import StudyInfo, Summary
from sweep.tracking.names import LONGEST_TAG, key, text
from sweep.tracking.server import Run, Tracker

GRID = "grid.yaml"


def open_parent(tracker: Tracker, *, study: StudyInfo) -> str | None:
    """Find or make the parent run before the first trial starts; None where MLflow is away."""
    try:
        return _find_or_make(tracker, study=study).id
    except (Away, Refused):
        return None


def show_parent(tracker: Tracker, *, study: StudyInfo, summary: Summary) -> str:
    """Bring the parent run up to date and return its id.

    Raises Away or Refused.
    """
    run = _find_or_make(tracker, study=study)
    content = digest([dataclasses.asdict(summary), study.grid])
    if run.status == summary.state and run.tags.get("sweep.record") == content:
        return run.id
    params = {key(name): text(value) for name, value in summary.params.items()}
    tracker.write(
        run.id,
        points=_points(summary),
        params={name: value for name, value in params.items() if name not in run.params},
        tags={"mlflow.note.content": _fitting(summary.note)} if summary.note else {},
    )
    files = {**({GRID: study.grid} if study.grid else {}), **summary.files}
    if tracker.upload(run.id, files=files):
        tracker.write(run.id, tags={"sweep.record": content})
    ended_ms = None if summary.state == "RUNNING" else millis(summary.at)
    tracker.set_status(run.id, status=summary.state, ended_ms=ended_ms)
    return run.id


def _find_or_make(tracker: Tracker, *, study: StudyInfo) -> Run:
    runs = tracker.find(study_filter(study, role="study"))
    if not runs:
        tags = study_tags(study, role="study")
        tracker.create(name=study.id, tags=tags, started_ms=millis(study.started))
        runs = tracker.find(study_filter(study, role="study"))
    # Two conductors may make one each at the same moment: both keep the same.
    kept, *others = sorted(runs, key=lambda run: (run.started_ms, run.id))
    for run in others:
        tracker.delete(run.id)
    return kept


def _points(summary: Summary) -> list[Point]:
    return [
        Point(key(name), float(value), summary.done, millis(summary.at))
        for name, value in summary.metrics.items()
        if math.isfinite(value)
    ]


def _fitting(note: str) -> str:
    """Cut a note between two lines where it is longer than MLflow takes."""
    if len(note) <= LONGEST_TAG:
        return note
    end = "\n\n(cut: the whole is among the artifacts)"
    return note[: LONGEST_TAG - len(end)].rpartition("\n")[0] + end
