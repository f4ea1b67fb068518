"""Train at once the networks that have the same windows: all trials', or one fold of each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from sweep.plan.settings import Settings
from sweep.train import criterion, model
from sweep.train.array.block import BEST, FIRST, SECOND, WEIGHTS, Block, Leg, Task
from sweep.train.array.lane import Lane, fresh, restore, to_bytes
from sweep.train.criterion import Score
from sweep.train.feed import Examples
from sweep.train.step import limit_of

T = TypeVar("T")
ALL = (WEIGHTS, BEST, FIRST, SECOND)


@dataclass(slots=True, eq=False)
class Group:
    """Blocks of lanes on one division of the data."""

    task: Task
    examples: Examples
    blocks: Sequence[Block]
    lanes: list[Lane | None] = field(init=False)  # by slot, block after block
    _going: list[tuple[int, Lane]] = field(default_factory=list)  # through the epoch under way
    _step: int = 0  # the next of the epoch under way

    def __post_init__(self) -> None:
        """Begin with every slot free."""
        self.lanes = [None] * sum(block.lanes for block in self.blocks)

    def free(self) -> list[int]:
        """List the slots that have no lane."""
        return [slot for slot, lane in enumerate(self.lanes) if lane is None]

    def open(self, settings: Settings, *, kept: bytes | None) -> Lane:
        """Make a lane that stands where its checkpoint says, or at its beginning.

        Raises NoCheckpoint.
        """
        lane = Lane(
            settings=settings,
            task=self.task,
            data=self.examples.hash,
            limit=limit_of(settings, feed=self.examples.feed, starts=self.task.train),
        )
        if kept is not None:
            restore(lane, kept)
        else:
            vectors = self.examples.vectors
            network = model.build(settings, device=torch.device("cpu"), vectors=vectors)
            lane.rows = fresh(self.task.form.join(model.arrays(network)))
        return lane

    def seat(self, lane: Lane, slot: int) -> None:
        """Give a lane a free slot."""
        block, place = self._place(slot)
        block.load(place, lane.rows)
        lane.rows = {}
        self.lanes[slot] = lane

    def unseat(self, lane: Lane, *names: str) -> None:
        """Free a lane's slot; it keeps the rows of these names. A lane without one stays so."""
        if lane in self.lanes:
            slot = self.lanes.index(lane)
            block, place = self._place(slot)
            lane.rows = block.fetch(place, *names)
            self.lanes[slot] = None

    def begin(self, lanes: Collection[Lane]) -> int:
        """Write the tables of an epoch that these lanes take; return how many steps it has."""
        self._going = [
            (slot, lane)
            for slot, lane in enumerate(self.lanes)
            if lane is not None and lane in lanes
        ]
        if not self._going:
            return 0
        self._step = min(lane.part.steps for _, lane in self._going)
        legs: list[Leg | None] = [None] * len(self.lanes)
        for slot, lane in self._going:
            legs[slot] = lane.leg()
        for block, own in zip(self.blocks, self._by_block(legs), strict=True):
            block.begin(own, step=self._step)
        return self.task.steps - self._step

    def step(self) -> None:
        """Take the next step of the epoch in all lanes that take it."""
        for block in self.blocks:
            block.step()
        self._step += 1

    def validate(self) -> None:
        """Score all lanes on what is held out."""
        if self._going and len(self.task.val):
            for block in self.blocks:
                block.validate()

    def end(self) -> None:
        """Read what the epoch came to, and take it into the story of each lane."""
        if not self._going:
            return
        losses, scores = self._losses(), self._scores(self._going[0][1].settings)
        better = [False] * len(self.lanes)
        for slot, lane in self._going:
            better[slot] = lane.take_in(losses[:, slot], scores[slot])
        for block, own in zip(self.blocks, self._by_block(better), strict=True):
            block.keep_best(own)
        self._going = []

    def keep(self, lanes: Collection[Lane]) -> dict[Lane, bytes]:
        """Write a checkpoint of each of these lanes that is seated here, as it stands now."""
        going = {lane for _, lane in self._going}
        losses = self._losses() if going else None
        found = {}
        for slot, lane in enumerate(self.lanes):
            if lane is None or lane not in lanes:
                continue
            part = lane.part
            if losses is not None and lane in going:
                part = lane.part_at(self._step, losses[:, slot])
            block, place = self._place(slot)
            found[lane] = to_bytes(lane, rows=block.fetch(place, *ALL), part=part)
        return found

    def _place(self, slot: int) -> tuple[Block, int]:
        block, place = divmod(slot, self.blocks[0].lanes)
        return self.blocks[block], place

    def _by_block(self, values: Sequence[T]) -> list[Sequence[T]]:
        size = self.blocks[0].lanes
        return [values[first : first + size] for first in range(0, len(values), size)]

    def _losses(self) -> NDArray[np.float64]:
        """Read the losses of the steps so far, [S, slots]."""
        found = [block.told().losses for block in self.blocks]
        return np.concatenate(found, axis=1).astype(np.float64)

    def _scores(self, settings: Settings) -> list[Score]:
        """Read what each slot scored, by the metrics that the configurations of all have."""
        own = criterion.of(settings)
        means = [block.told().means for block in self.blocks]
        return [
            own.mean({"count": 1.0} | {name: float(values[lane]) for name, values in each.items()})
            for each, block in zip(means, self.blocks, strict=True)
            for lane in range(block.lanes)
        ]
