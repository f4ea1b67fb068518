"""Train trials in the lanes of an array, told from the first epoch to the last."""

from __future__ import annotations

import gc
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

import torch

from sweep.errors import BadInput
from sweep.plan.settings import Settings
from sweep.train.array.engines import Tools
from sweep.train.array.form import common
from sweep.train.array.lane import Lane
from sweep.train.array.opening import NoRoom, open_array
from sweep.train.array.probe import Memory
from sweep.train.array.running import Entry, open_running
from sweep.train.array.slots import Array
from sweep.train.precision import arithmetic

log = logging.getLogger(__name__)

ASK_EVERY = 16  # steps, between two looks at whether checkpoints are wanted


class Queue(Protocol):
    """Hands out trials, and says when all that are under way are to be kept."""

    def left(self) -> int:
        """Say how many trials it may still hand out."""

    def next(self) -> Entry | None:
        """Give the next trial; None where there is none now."""

    def wanted(self) -> bool:
        """Tell whether to keep checkpoints of all lanes now."""

    def kept(self) -> None:
        """Hear that all lanes are kept; does not return where this process has to end."""


@dataclass(slots=True)
class Trainer:
    """Trains what a queue hands out."""

    queue: Queue
    tools: Tools | None = None  # None: chosen by device and form
    width: int | None = None  # lanes of a block; None: chosen by device and form
    memory: Memory | None = None  # that lanes are counted by; None: the device's
    _limit: int | None = None  # lanes, after memory ran out
    _back: deque[Entry] = field(default_factory=deque)  # taken from the queue, and not begun

    def run(self) -> None:
        """Train until the queue has no more; each trial's end is told to its entry."""
        while (entry := self._next()) is not None:
            self._back.appendleft(entry)
            self._train_like(entry.settings)

    def _next(self) -> Entry | None:
        return self._back.popleft() if self._back else self.queue.next()

    def _train_like(self, settings: Settings) -> None:
        """Train trials of one form until the queue has no more of it."""
        most = len(self._back) + self.queue.left()
        array: Array | None = None
        try:
            with arithmetic(settings, mixed=False):
                array = open_array(
                    settings,
                    most=most,
                    tools=self.tools,
                    width=self.width,
                    limit=self._limit,
                    memory=self.memory,
                )
                self._train_in(array, common(settings))
        except torch.OutOfMemoryError:
            assert array is not None
            self._back.extendleft(trial.entry for trial in reversed(array.trials))
            self._narrow(array.slots)
        except NoRoom as error:
            self._narrow(error.lanes)
        except BadInput as error:
            if array is not None:
                raise
            self._back.popleft().ended(error)
        del array
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _train_in(self, array: Array, shared: Settings) -> None:
        while True:
            self._fill(array, shared)
            if not array.trials:
                return
            _train_epoch(array, self.queue)

    def _fill(self, array: Array, shared: Settings) -> None:
        while array.room():
            entry = self._next()
            if entry is None:
                return
            if common(entry.settings) != shared:
                self._back.appendleft(entry)  # its turn comes when this array is empty
                return
            try:
                trial = open_running(entry, groups=array.groups)
            except torch.OutOfMemoryError:
                self._back.appendleft(entry)
                raise
            array.put(trial)

    def _narrow(self, lanes: int) -> None:
        """Go on with half the lanes; where one alone did not fit, its trial fails."""
        self._limit = max(1, lanes // 2)
        if lanes > 1:
            log.warning("array: memory ran out, going on with %s lanes", self._limit)
        else:
            self._back.popleft().ended(NoRoom(1))


def _train_epoch(array: Array, queue: Queue) -> None:
    """Take every trial through an epoch of its folds, and tell each what came of it.

    Folds with fewer steps begin later, so that all are ready at once: a checkpoint on the way
    finds none of them trained and not yet scored.
    """
    lanes = {lane for trial in array.trials for lane in trial.next_to_train()}
    counts = [group.begin(lanes) for group in array.groups]
    steps = max(counts)
    for step in range(steps):
        if step % ASK_EVERY == 0 and queue.wanted():
            _keep(array, queue)
        for group, count in zip(array.groups, counts, strict=True):
            if step >= steps - count:
                group.step()
    for group in array.groups:
        group.validate()
    for group in array.groups:
        group.end()
    array.settle()


def _keep(array: Array, queue: Queue) -> None:
    """Keep every trial as it stands."""
    kept = [trial for trial in array.trials if trial.entry.checkpoints is not None]
    lanes = {lane for trial in kept for _, lane in trial.placed()}
    found: dict[Lane, bytes] = {}
    for group in array.groups:
        found |= group.keep(lanes)
    for trial in kept:
        assert trial.entry.checkpoints is not None
        trial.entry.checkpoints.keep(trial.to_bytes(found))
    queue.kept()
