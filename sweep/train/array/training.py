"""Train trials in the lanes of an array, told from the first epoch to the last."""

from __future__ import annotations

import gc
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from sweep.errors import BadInput
from sweep.plan.settings import Settings
from sweep.plan.trial import State
from sweep.train import device, loop, model
from sweep.train.array.block import BEST, FIRST, SECOND, WEIGHTS, Block, Task
from sweep.train.array.engines import Tools, choose, same_at_any_width
from sweep.train.array.form import Form, common, form_of
from sweep.train.array.lane import Entry, Lane, open_lane, over, to_bytes
from sweep.train.array.memory import blocks_for, width_for
from sweep.train.array.network import Source
from sweep.train.criterion import Score
from sweep.train.feed import SeriesFeed, open_feed
from sweep.train.precision import arithmetic
from sweep.train.step import BEGINNING, Diverged, Part, check, limit_of
from sweep.train.story import loss_of

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
    """Blocks of lanes that train networks of one form on the same windows."""

    settings: Settings  # of any of its trials
    task: Task
    feed: SeriesFeed
    data: str  # hash
    blocks: list[Block]
    lanes: list[Lane | None]  # block after block

    @property
    def width(self) -> int:
        """Count the lanes of one block."""
        return self.blocks[0].lanes

    def busy(self) -> list[tuple[int, Lane]]:
        """List the slots in which a trial is trained."""
        return [(slot, lane) for slot, lane in enumerate(self.lanes) if lane is not None]

    def put(self, entry: Entry, slot: int) -> None:
        """Begin a trial in a slot."""
        own = entry.settings
        arrays = model.arrays(model.build(own, device=torch.device("cpu")))
        lane = open_lane(
            entry,
            form=self.task.form,
            data=self.data,
            limit=limit_of(own, feed=self.feed, starts=self.task.train),
            initial=self.task.form.join(arrays),
            steps=self.task.steps,
        )
        block, place = divmod(slot, self.width)
        self.blocks[block].load(place, lane.rows)
        lane.rows = {}
        self.lanes[slot] = lane
        # Of a checkpoint that was kept where the trial rests.
        at_rest = lane.part == BEGINNING and lane.story.epochs
        if at_rest and (state := lane.ask()) is not None:
            self.free(slot, state)

    def free(self, slot: int, state: State) -> None:
        """Tell what came of a slot's trial, which is over or rests."""
        lane = self.lanes[slot]
        assert lane is not None
        self.lanes[slot] = None
        names = (WEIGHTS, BEST, FIRST, SECOND) if state is State.PAUSED else (BEST,)
        trained = over(
            lane,
            form=self.task.form,
            rows=self.fetch(slot, *names),
            state=state,
            name=device.model_name(self.feed.values.device),
        )
        lane.entry.ended(trained)

    def fetch(self, slot: int, *names: str) -> dict[str, NDArray[Any]]:
        """Copy rows of a slot out."""
        block, place = divmod(slot, self.width)
        return self.blocks[block].fetch(place, *names)

    def losses(self) -> NDArray[np.float64]:
        """Read the losses of the steps so far, [S, slots]."""
        found = [block.told().losses for block in self.blocks]
        return np.concatenate(found, axis=1).astype(np.float64)

    def scores(self) -> list[Score]:
        """Read each slot's score on the validation windows."""
        told = [block.told() for block in self.blocks]
        return [
            {"mse": float(mse), "mae": float(mae)}
            for each in told
            for mse, mae in zip(each.squared, each.absolute, strict=True)
        ]


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
    examples = open_feed(settings)
    feed, windows = examples.feed, examples.windows
    assert isinstance(feed, SeriesFeed)  # `backend.reason_against`
    values = feed.values
    form = form_of(settings)
    source = Source(values, feed.targets, feed.lookback, feed.horizon)
    task = Task(form=form, source=source, train=windows.train, val=windows.val)
    lanes = width or width_for(task, device=values.device, most=most)
    tools = tools or choose(form, device=feed.device)
    if limit is not None:
        most = min(most, limit)
        if limit < lanes:
            lanes = limit
            if not _same_bits(form, tools, device=feed.device, lanes=2 * lanes):
                log.warning("array: among fewer lanes last digits may differ on this device")
    count = blocks_for(task, width=lanes, device=feed.device, most=most)
    try:
        blocks = [Block(task, lanes=lanes, tools=tools) for _ in range(count)]
    except torch.OutOfMemoryError:
        raise NoRoom(lanes * count) from None
    return Array(
        settings=settings,
        task=task,
        feed=feed,
        data=examples.hash,
        blocks=blocks,
        lanes=[None] * (lanes * len(blocks)),
    )


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
            self._back.extendleft(lane.entry for _, lane in reversed(array.busy()))
            self._narrow(len(array.lanes))
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
            if not array.busy():
                return
            _Epoch(array, self.queue).run()

    def _fill(self, array: Array, shared: Settings) -> None:
        for slot in range(len(array.lanes)):
            while array.lanes[slot] is None:
                entry = self._next()
                if entry is None:
                    return
                if common(entry.settings) != shared:
                    self._back.appendleft(entry)  # its turn comes when this array is empty
                    return
                array.put(entry, slot)

    def _narrow(self, lanes: int) -> None:
        """Go on with half the lanes; where one alone did not fit, its trial fails."""
        self._limit = max(1, lanes // 2)
        if lanes > 1:
            log.warning("array: memory ran out, going on with %s lanes", self._limit)
        else:
            self._back.popleft().ended(NoRoom(1))


class _Epoch:
    """One epoch of all lanes of an array."""

    def __init__(self, array: Array, queue: Queue) -> None:
        self.array = array
        self.queue = queue
        self.steps = array.task.steps
        self.counts = array.task.counts

    def run(self) -> None:
        """Take the steps, validate, and tell each lane what came of it."""
        array = self.array
        first = min(lane.part.steps for _, lane in array.busy())
        self._begin(first)
        for step in range(first, self.steps):
            if (step - first) % ASK_EVERY == 0 and self.queue.wanted():
                self._keep(step)
            for block in array.blocks:
                block.step()
        for block in array.blocks:
            block.validate()
        losses, scores = array.losses(), array.scores()
        better = [
            lane is not None and self._after(lane, losses[:, slot], scores[slot])
            for slot, lane in enumerate(array.lanes)
        ]
        for number, block in enumerate(array.blocks):
            block.keep_best(better[number * block.lanes : (number + 1) * block.lanes])
        for slot, lane in array.busy():
            state = State.INFEASIBLE if lane.failure is not None else lane.ask()
            if state is not None:
                array.free(slot, state)

    def _begin(self, first: int) -> None:
        array = self.array
        windows = len(array.task.train)
        legs = [
            None if lane is None else lane.leg(steps=self.steps, windows=windows)
            for lane in array.lanes
        ]
        for number, block in enumerate(array.blocks):
            block.begin(legs[number * block.lanes : (number + 1) * block.lanes], step=first)

    def _keep(self, step: int) -> None:
        """Keep every lane as it stands before a step."""
        losses = self.array.losses() if step else np.zeros((self.steps, len(self.array.lanes)))
        for slot, lane in self.array.busy():
            if lane.entry.checkpoints is None:
                continue
            done = max(step, lane.part.steps)
            part = Part(done, self._total(lane, losses[:done, slot]))
            rows = self.array.fetch(slot, WEIGHTS, BEST, FIRST, SECOND)
            lane.entry.checkpoints.keep(
                to_bytes(lane, form=self.array.task.form, rows=rows, part=part)
            )
        self.queue.kept()

    def _total(self, lane: Lane, losses: NDArray[np.float64]) -> float:
        begun = lane.part.steps
        own = losses[begun:] * self.counts[begun : len(losses)]
        return float(sum(own.tolist(), lane.part.total))

    def _after(self, lane: Lane, losses: NDArray[np.float64], score: Score) -> bool:
        """Take an epoch into a lane's story; tell whether its weights are the best so far."""
        try:
            for loss in losses[lane.part.steps :].tolist():
                check(loss, limit=lane.limit, where="training")
            check(loss_of(score, lane.settings), limit=lane.limit, where="validation")
        except Diverged as error:
            lane.failure = loop.diverged(error, epoch=lane.epoch + 1)
            return False
        lane.story = lane.story.after(
            dict,
            settings=lane.settings,
            train_loss=self._total(lane, losses) / len(self.array.task.train),
            score=score,
            lr=lane.last_rate(steps=self.steps),
        )
        lane.part = BEGINNING
        lane.taken += self.steps
        return lane.story.progress.stale == 0
