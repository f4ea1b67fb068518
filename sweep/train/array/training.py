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
from sweep.plan.trial import State
from sweep.train.array.block import Block, Task
from sweep.train.array.engines import Tools, choose, same_at_any_width
from sweep.train.array.form import Form, common, form_of
from sweep.train.array.group import Group
from sweep.train.array.lane import Lane
from sweep.train.array.memory import blocks_for, width_for
from sweep.train.array.network import Source
from sweep.train.array.running import Entry, Running, open_running
from sweep.train.feed import Examples, SeriesFeed, open_feed
from sweep.train.folds import folds, last_fold
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
class Array:
    """Lanes that train networks of one form on the same data: a group of them for each fold."""

    settings: Settings  # of any of its trials
    groups: list[Group]  # one a fold, and with folds one for what is trained on all
    trials: list[Running] = field(default_factory=list)  # under way

    @property
    def slots(self) -> int:
        """Count the trials that it holds at a time, those aside that are trained on all."""
        return len(self.groups[0].lanes)

    def room(self) -> bool:
        """Tell whether it takes one trial more."""
        return bool(self.groups[0].free())

    def put(self, trial: Running) -> None:
        """Give a trial a slot."""
        self.trials.append(trial)
        if trial.refit is None:
            slot = self.groups[0].free()[0]
            for group, lane in zip(self.groups, trial.held, strict=False):
                group.seat(lane, slot)
        if trial.rested():  # a checkpoint that was kept where the trial rests
            self._settle(trial)
        self._seat()

    def settle(self) -> None:
        """After an epoch, tell what came of trials that are over, and move those that go on."""
        for trial in list(self.trials):
            self._settle(trial)
        self._seat()

    def _settle(self, trial: Running) -> None:
        state = trial.ask()
        if state is State.COMPLETED and trial.refit is None and len(trial.held) > 1:
            trial.go_on_with_all()
        elif state is not None:
            trial.end(state)
            self.trials.remove(trial)

    def _seat(self) -> None:
        """Give a slot to networks that are to be trained on all, as long as one is free."""
        group = self.groups[-1]
        for trial in self.trials:
            refit = trial.refit
            if refit is not None and refit.rows and group.free():
                group.seat(refit, group.free()[0])


class NoRoom(Exception):
    """Tell that an array of so many lanes does not fit."""

    def __init__(self, lanes: int) -> None:
        super().__init__(f"an array of {lanes} lanes needs more memory than there is")
        self.lanes = lanes


def open_array(
    settings: Settings,
    *,
    most: int,
    tools: Tools | None = None,
    width: int | None = None,
    limit: int | None = None,
) -> Array:
    """Lay out an array for trials that have in common what `settings` has, at most so many.

    `width` is the lanes of a block, `limit` bounds those of all blocks: at first there are fewer
    blocks, and only a single one gets narrower. Raises BadInput for data that cannot be used, and
    NoRoom.
    """
    divided = _divided(settings)
    feed = _feed_of(divided[0])
    tasks = [_task(settings, each) for each in divided]
    form = tasks[0].form
    lanes = width or width_for(tasks, device=feed.device, most=most)
    tools = tools or choose(form, device=feed.device)
    if limit is not None:
        most = min(most, limit)
        if limit < lanes:
            lanes = limit
            if not _same_bits(form, tools, device=feed.device, lanes=2 * lanes):
                log.warning("array: among fewer lanes last digits may differ on this device")
    count = blocks_for(tasks, width=lanes, device=feed.device, most=most)
    try:
        blocks = [[Block(task, lanes=lanes, tools=tools) for _ in range(count)] for task in tasks]
    except torch.OutOfMemoryError:
        raise NoRoom(lanes * count) from None
    groups = [
        Group(task, _feed_of(own), own.hash, each)
        for task, own, each in zip(tasks, divided, blocks, strict=True)
    ]
    return Array(settings, groups)


def _divided(settings: Settings) -> list[Examples]:
    """Load each division of the data: the plain one, or every fold and what the refit sees."""
    last = last_fold(settings.data)
    if last is None:
        return [open_feed(settings)]
    return [open_feed(settings, fold=fold) for fold in (*folds(settings.data), last)]


def _task(settings: Settings, examples: Examples) -> Task:
    feed, windows = _feed_of(examples), examples.windows
    source = Source(feed.values, feed.targets, feed.lookback, feed.horizon)
    return Task(form=form_of(settings), source=source, train=windows.train, val=windows.val)


def _feed_of(examples: Examples) -> SeriesFeed:
    assert isinstance(examples.feed, SeriesFeed)  # `backend.reason_against`
    return examples.feed


def _same_bits(form: Form, tools: Tools, *, device: torch.device, lanes: int) -> bool:
    try:
        return same_at_any_width(tools.engine, form, device=device, lanes=lanes)
    except torch.OutOfMemoryError:
        return False


@dataclass(slots=True)
class Trainer:
    """Trains what a queue hands out."""

    queue: Queue
    tools: Tools | None = None  # None: chosen by device and form
    width: int | None = None  # lanes of a block; None: chosen by device and form
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
                    settings, most=most, tools=self.tools, width=self.width, limit=self._limit
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
