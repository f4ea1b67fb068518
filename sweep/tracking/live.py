"""Show long trials while they train."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from sweep.plan.trial import Record
from sweep.tracking.entry import CURVE, Point, live_params, live_tags, millis
from sweep.tracking.failures import Away, Refused
from sweep.tracking.info import StudyInfo, TrialInfo
from sweep.tracking.names import key
from sweep.tracking.server import Tracker

EVERY_S = 30.0  # how often curves are sent, and how long a trial runs before it is shown at all


class LiveRuns:
    """Send the curves of the trials of one pack to MLflow, from a thread of their own.

    `epoch` never waits for MLflow; `end` and `close` wait for the one call that is on its way.
    What was not sent when a trial ends is sent by `publish`, which has its record.
    """

    def __init__(
        self,
        tracker: Tracker,
        *,
        study: StudyInfo,
        parent: str | None,
        every_s: float = EVERY_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._tracker = tracker
        self._study = study
        self._parent = parent
        self._every_s = every_s
        self._now = now
        self._lock = threading.Lock()
        self._shown: dict[int, _Live] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mlflow-live", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def begin(self, trial: TrialInfo, *, record: Record) -> None:
        """Tell that a trial starts; `record` is its RUNNING record, with pack and attempt."""
        with self._lock:
            self._shown[trial.number] = _Live(trial, record, live_params(trial))

    def epoch(self, number: int, *, epoch: int, metrics: Mapping[str, float]) -> None:
        """Note what one epoch came to; epochs are counted from 1."""
        at_ms = millis(self._now())
        points = [
            Point(key(CURVE + name), float(value), epoch, at_ms)
            for name, value in metrics.items()
            if math.isfinite(value)
        ]
        with self._lock:
            self._shown[number].waiting.extend(points)

    def end(self, number: int) -> None:
        """Tell that a trial is over; its record goes to `publish` next.

        One that rested, and never goes on, may have begun elsewhere.
        """
        with self._lock:
            live = self._shown.pop(number, None)
        if live is None:
            return
        with live.sending:  # what is on its way arrives before `publish` looks
            live.over = True

    def close(self) -> None:
        """Stop sending."""
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stop.wait(self._every_s):
            with self._lock:
                due = [
                    live
                    for live in self._shown.values()
                    if self._now() - live.record.started >= self._every_s
                ]
            for live in due:
                if self._stop.is_set():
                    return
                self._send(live)

    def _send(self, live: _Live) -> None:
        with live.sending:
            if live.over:
                return
            with self._lock:
                points, live.waiting = live.waiting, []
            try:
                if live.run is None:
                    live.run = self._start(live)
                self._tracker.write(live.run, points=points, params=live.params)
                live.params = {}
            except (Away, Refused):
                with self._lock:
                    live.waiting = points + live.waiting

    def _start(self, live: _Live) -> str:
        return self._tracker.create(
            name=live.trial.name,
            tags=live_tags(self._study, trial=live.trial, record=live.record, parent=self._parent),
            started_ms=millis(live.record.started),
        )


@dataclass(slots=True)
class _Live:
    trial: TrialInfo
    record: Record
    params: dict[str, str]
    run: str | None = None
    waiting: list[Point] = field(default_factory=list)
    sending: threading.Lock = field(default_factory=threading.Lock)
    over: bool = False
