"""Try a step before a pack begins, to learn what it takes and whether lanes disturb each other."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import torch

from sweep.plan.settings import Settings
from sweep.train import model
from sweep.train.array.block import BEST, FIRST, SECOND, WEIGHTS, Block, Leg
from sweep.train.array.lane import Lane, fresh

Bits = tuple[bytes, ...]  # of loss, score, weights and optimiser


class Memory(Protocol):
    """The memory of a device, and what some work takes of it."""

    @property
    def total(self) -> float:
        """Count the device's bytes."""

    def free(self) -> float:
        """Count the bytes that nobody has now."""

    def taken(self, work: Callable[[], Block]) -> float:
        """Make a block and have it work; count the bytes that this takes at its fullest."""


class GpuMemory:
    """What a GPU and torch's allocator tell. No GPU has run this yet."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    @property
    def total(self) -> float:
        """Count the device's bytes."""
        return float(torch.cuda.get_device_properties(self._device).total_memory)

    def free(self) -> float:
        """Count the bytes that nobody has now."""
        return float(torch.cuda.mem_get_info(self._device)[0])

    def taken(self, work: Callable[[], Block]) -> float:
        """Make a block and have it work; count the bytes that this takes at its fullest."""
        device = self._device
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        used, held = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
        made = work()
        torch.cuda.synchronize(device)
        fullest = torch.cuda.max_memory_allocated(device) - used
        torch.cuda.empty_cache()
        # Recorded graphs keep memory of their own, which counts as free between two replays.
        kept = torch.cuda.memory_reserved(device) - held
        del made
        gc.collect()
        torch.cuda.empty_cache()
        return float(max(fullest, kept))


def memory_of(device: torch.device) -> Memory | None:
    """Give the memory that lanes are counted by; None on a CPU, where they are few."""
    return GpuMemory(device) if device.type == "cuda" else None


def first_step(
    block: Block, settings: Settings, *, slots: Sequence[int] = (0,), company: bool = False
) -> list[Bits]:
    """Take one step and a validation with one and the same network in some slots.

    The other slots rest, or train something else as `company`. Returns what each of the slots came
    to, to the last bit.
    """
    task = block.task
    row = task.form.join(model.arrays(model.build(settings, device=torch.device("cpu"))))
    legs: list[Leg | None] = [None] * block.lanes
    for slot in range(block.lanes):
        if slot not in slots and not company:
            continue
        stranger = slot not in slots
        seed = settings.train.seed + stranger
        own = replace(settings, train=replace(settings.train, seed=seed))
        rows = fresh(row / 2 if stranger else row)
        lane = Lane(settings=own, task=task, data="", limit=math.inf)
        block.load(slot, rows)
        legs[slot] = lane.leg()
    block.begin(legs)
    block.step()
    if len(task.val):
        block.validate()
    told = block.told()
    return [
        (
            told.losses[0, slot].tobytes(),
            *(values[slot].tobytes() for values in told.means.values()),
            *(rows.tobytes() for rows in block.fetch(slot, WEIGHTS, BEST, FIRST, SECOND).values()),
        )
        for slot in slots
    ]


def undisturbed(block: Block, settings: Settings) -> tuple[Bits, bool]:
    """Tell what a network comes to in the first slot alone, and whether company changes a bit.

    In company it stands in the last slot as well.
    """
    (alone,) = first_step(block, settings)
    beside = first_step(block, settings, slots=(0, block.lanes - 1), company=True)
    return alone, all(bits == alone for bits in beside)
