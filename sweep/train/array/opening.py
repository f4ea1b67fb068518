"""Lay out an array as wide as the device holds, after a step was tried on it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch

from sweep.plan.settings import Settings
from sweep.train.array.block import Block, Task
from sweep.train.array.engines import Tools, choose
from sweep.train.array.form import form_of
from sweep.train.array.group import Group
from sweep.train.array.memory import lane_bytes, spare, width_for
from sweep.train.array.probe import Bits, Memory, first_step, memory_of, undisturbed
from sweep.train.array.slots import Array
from sweep.train.feed import Examples, open_feed
from sweep.train.folds import folds, last_fold

log = logging.getLogger(__name__)

FEW = 8  # lanes that memory is measured with, at most
MIB = 1 << 20


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
    memory: Memory | None = None,
) -> Array:
    """Lay out an array for trials that have in common what `settings` has, at most so many.

    `width` is the lanes of a block, `limit` bounds those of all blocks: at first there are fewer
    blocks, and only a single one gets narrower. Raises BadInput for data that cannot be used, and
    NoRoom.
    """
    divided = _divided(settings)
    feed = divided[0].feed
    tasks = [_task(settings, each) for each in divided]
    tools = tools or choose(tasks[0].form, device=feed.device)
    memory = memory or memory_of(feed.device)
    each, narrow = _tried(settings, tasks, tools=tools, memory=memory)
    lanes = width or width_for(each, memory=memory, most=most)
    if limit is not None:
        most, lanes = min(most, limit), min(lanes, limit)
    count = max(1, min(-(-most // lanes), spare(each, memory=memory) // lanes))
    blocks, bits = _undisturbed(settings, tasks, tools=tools, lanes=lanes, count=count)
    if bits != narrow:
        log.warning(
            "array: on this device last digits depend on how many lanes there are, here %s; the "
            "records say so",
            blocks[0][0].lanes,
        )
    groups = [
        Group(task, own, each) for task, own, each in zip(tasks, divided, blocks, strict=True)
    ]
    return Array(settings, groups, tied=bits != narrow)


def _tried(
    settings: Settings, tasks: Sequence[Task], *, tools: Tools, memory: Memory | None
) -> tuple[float, Bits]:
    """Take a step in a few lanes; return the bytes of a trial, and what a network came to.

    The bytes are measured where there is a memory to measure, and else the model's.
    """
    model, task = float(sum(map(lane_bytes, tasks))), tasks[_fullest(tasks)]
    found: list[Bits] = []

    def step() -> Block:
        block = Block(task, lanes=lanes, tools=tools)
        found[:] = first_step(block, settings)
        return block

    lanes = 1 if memory is None else min(FEW, width_for(model, memory=memory, most=FEW))
    while True:
        try:
            if memory is None:
                step()
                return model, found[0]
            taken = memory.taken(step)
            break
        except torch.OutOfMemoryError:
            if lanes == 1:
                raise NoRoom(1) from None
            lanes //= 2
    each = max(1.0, taken / lanes * len(tasks))
    log.info(
        "array: a trial takes %.1f MiB, measured with %s; the model said %.1f MiB (%+.0f %%)",
        each / MIB,
        lanes,
        model / MIB,
        100 * (model / each - 1),
    )
    return each, found[0]


def _undisturbed(
    settings: Settings, tasks: Sequence[Task], *, tools: Tools, lanes: int, count: int
) -> tuple[list[list[Block]], Bits]:
    """Make blocks in which a lane's bits do not depend on the others; narrower ones if need be."""
    place = _fullest(tasks)
    while True:
        try:
            blocks = [
                [Block(task, lanes=lanes, tools=tools) for _ in range(count)] for task in tasks
            ]
            bits, holds = undisturbed(blocks[place][0], settings)
        except torch.OutOfMemoryError:
            raise NoRoom(lanes * count) from None
        if holds or lanes == 1:
            return blocks, bits
        log.warning(
            "array: among %s lanes a trial's bits depend on its company on this device; going on "
            "with %s",
            lanes,
            lanes // 2,
        )
        lanes //= 2
        del blocks


def _fullest(tasks: Sequence[Task]) -> int:
    """Find the task with the most training windows, of those that have something held out."""
    scored = [place for place, task in enumerate(tasks) if len(task.val)]
    return max(scored, key=lambda place: len(tasks[place].train))


def _divided(settings: Settings) -> list[Examples]:
    """Load each division of the data: the plain one, or every fold and what the refit sees."""
    last = last_fold(settings.data)
    if last is None:
        return [open_feed(settings)]
    return [open_feed(settings, fold=fold) for fold in (*folds(settings.data), last)]


def _task(settings: Settings, examples: Examples) -> Task:
    windows = examples.windows
    return Task(form=form_of(settings), feed=examples.feed, train=windows.train, val=windows.val)
