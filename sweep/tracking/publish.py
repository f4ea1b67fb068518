"""Bring MLflow up to date with what the store says of a study."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import Enum
from itertools import groupby

from sweep.plan.trial import Record
from sweep.tracking.address import is_server
from sweep.tracking.entry import CURVE, PARENT, Entry, Point, make_entry, millis, study_filter
from sweep.tracking.failures import Away, Refused
from sweep.tracking.info import StudyInfo, Summary, TrialInfo
from sweep.tracking.parent import show_parent
from sweep.tracking.server import Run, Tracker

log = logging.getLogger("sweep.tracking")

THREADS = 8  # towards a server; a sqlite file takes one writer at a time
FEW = 16  # so many trials are looked up one by one, more by reading the whole study


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What `publish` did."""

    parent: str | None = None  # id of the parent run, where one was asked for
    written: int = 0  # runs made or completed
    unchanged: int = 0
    removed: int = 0  # doubles, and runs of a life that another record has superseded
    closed: int = 0  # orphans
    refused: int = 0  # trials that MLflow does not take
    away: bool = False  # MLflow could not be reached: the rest is still to do

    @property
    def complete(self) -> bool:
        """Tell whether MLflow now shows all that it was given."""
        return not self.away and self.refused == 0


def publish(
    tracker: Tracker,
    *,
    study: StudyInfo,
    trials: Sequence[tuple[TrialInfo, Record]],
    parent: str | None = None,
    summary: Summary | None = None,
    over: bool = False,
) -> Published:
    """Make MLflow show these trials; what it shows already is left as it is.

    With a `summary` the parent run is brought up to date too (found or made, where `parent` does
    not name it). `over` says that nothing of the study runs any more: runs that still look alive
    are closed. Never raises because of MLflow: what could not be written is counted, and a later
    call writes it.
    """
    try:
        if summary is not None:
            parent = show_parent(tracker, study=study, summary=summary)
        runs = _find(tracker, study=study, numbers=[trial.number for trial, _ in trials], all_=over)
        entries = [
            make_entry(study, trial=trial, record=record, parent=parent) for trial, record in trials
        ]
        done = _bring_all(tracker, entries=entries, runs=runs)
        orphans = _orphans(entries, runs=runs) if over and not done.away else []
        closed = _close(tracker, orphans=orphans, summary=summary)
        return replace(done, parent=parent, closed=closed)
    except Away:
        return Published(parent=parent, away=True)
    except Refused as error:
        log.warning("tracking: study %s was refused (%s)", study.id, error)
        return Published(parent=parent, refused=len(trials))


class _Done(Enum):
    WRITTEN = "written"
    UNCHANGED = "unchanged"


def _find(
    tracker: Tracker, *, study: StudyInfo, numbers: Sequence[int], all_: bool
) -> dict[int, list[Run]]:
    expression = study_filter(study, role="trial")
    if all_ or len(numbers) > FEW:
        found = tracker.find(expression)
    else:
        found = [
            run
            for number in numbers
            for run in tracker.find(f"{expression} and tags.`sweep.trial` = '{number}'")
        ]
    runs = defaultdict(list)
    for run in found:
        number = run.tags.get("sweep.trial", "")
        if number.isdecimal():
            runs[int(number)].append(run)
    return runs


def _bring_all(
    tracker: Tracker, *, entries: Sequence[Entry], runs: Mapping[int, Sequence[Run]]
) -> Published:
    threads = min(THREADS, len(entries)) if is_server(tracker.uri) else 1
    written = unchanged = removed = refused = 0
    away = False
    with ThreadPoolExecutor(max(threads, 1), thread_name_prefix="mlflow") as pool:
        tasks = [
            pool.submit(_bring, tracker, entry=entry, runs=runs.get(entry.trial, ()))
            for entry in entries
        ]
        for entry, task in zip(entries, tasks, strict=True):
            try:
                done, gone = task.result()
            except Away:
                away = True
            except Refused as error:
                if not refused:
                    log.warning("tracking: trial %d was refused (%s)", entry.trial, error)
                refused += 1
            else:
                written += done is _Done.WRITTEN
                unchanged += done is _Done.UNCHANGED
                removed += gone
    return Published(
        written=written, unchanged=unchanged, removed=removed, refused=refused, away=away
    )


def _bring(tracker: Tracker, *, entry: Entry, runs: Sequence[Run]) -> tuple[_Done, int]:
    """Keep the run that comes closest to the entry, complete it, and remove the others.

    Points, settings and start of a run cannot be taken back in MLflow, so a run of another life
    of the trial is never rewritten: a new one takes its place.
    """
    same = [run for run in runs if run.tags.get("sweep.life") == entry.life]
    kept = max(same, key=lambda run: (_holds(run, entry), len(run.metrics)), default=None)
    if kept is None:
        done = _write_new(tracker, entry=entry)
    elif _holds(kept, entry):
        done = _move(tracker, run=kept, entry=entry)
    else:
        done = _finish(tracker, run=kept, entry=entry)
    others = [run for run in runs if run is not kept]
    for run in others:
        tracker.delete(run.id)
    return done, len(others)


def _holds(run: Run, entry: Entry) -> bool:
    return run.status == entry.status and run.tags.get("sweep.record") == entry.digest


def _write_new(tracker: Tracker, *, entry: Entry) -> _Done:
    run = tracker.create(name=entry.name, tags=entry.tags, started_ms=entry.started_ms)
    tracker.write(run, points=entry.points, params=entry.params)
    tracker.set_status(run, status=entry.status, ended_ms=entry.ended_ms)
    return _Done.WRITTEN


def _finish(tracker: Tracker, *, run: Run, entry: Entry) -> _Done:
    """Write what is missing, and no epoch a second time."""
    curves = [point for point in entry.points if point.key.startswith(CURVE)]
    missing = [point for point in entry.points if not point.key.startswith(CURVE)]
    for key, points in groupby(sorted(curves, key=_by_step), key=lambda p: p.key):
        there = tracker.steps(run.id, key=key) if key in run.metrics else {}
        # Epochs that were sent live have their true time; the others come after them.
        newest = max(there.values(), default=0)
        missing += [replace(p, at_ms=max(p.at_ms, newest)) for p in points if p.step not in there]
    tracker.write(run.id, points=missing, params=entry.params, tags=entry.tags)
    tracker.set_status(run.id, status=entry.status, ended_ms=entry.ended_ms)
    return _Done.WRITTEN


def _by_step(point: Point) -> tuple[str, int]:
    return point.key, point.step


def _move(tracker: Tracker, *, run: Run, entry: Entry) -> _Done:
    parent = entry.tags.get(PARENT)
    if parent is None or run.tags.get(PARENT) == parent:
        return _Done.UNCHANGED
    tracker.write(run.id, tags={PARENT: parent})
    return _Done.WRITTEN


def _orphans(entries: Sequence[Entry], *, runs: Mapping[int, Sequence[Run]]) -> list[Run]:
    recorded = {entry.trial for entry in entries}
    return [
        run
        for number, found in runs.items()
        for run in found
        if number not in recorded and run.open
    ]


def _close(tracker: Tracker, *, orphans: Sequence[Run], summary: Summary | None) -> int:
    for run in orphans:
        ended_ms = run.started_ms if summary is None else max(run.started_ms, millis(summary.at))
        tracker.write(run.id, tags={"sweep.state": "CANCELLED"})
        tracker.set_status(run.id, status="KILLED", ended_ms=ended_ms)
    return len(orphans)
