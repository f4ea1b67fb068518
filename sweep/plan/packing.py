"""Decide which trials share a pack, and in which order packs run."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from sweep.plan.trial import Trial

CPU_LANES, GPU_LANES = 8, 64  # that a pack of fused trials fills, where there are so many


@dataclass(frozen=True, slots=True)
class Pack:
    """Trials that share one worker."""

    number: int
    trials: tuple[int, ...]  # trial numbers, in the order of training
    fused: bool = False  # trained as one array, not in turn


def pack(
    trials: Sequence[Trial],
    *,
    same: Callable[[Trial], Hashable],
    cost: Callable[[Trial], float],
    capacity: int,
    first_number: int = 0,
    fused: Callable[[Trial], bool] = lambda _: False,
    fused_capacity: int = 1,
) -> list[Pack]:
    """Group trials for which `same` agrees, at most `capacity` to a pack; long packs first.

    `cost` is in any unit; it orders packs and, within a group, trials. Trials that are `fused`
    make packs of their own, with a capacity of their own.
    """
    groups: dict[tuple[bool, Hashable], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((fused(trial), same(trial)), []).append(trial)
    packs: list[tuple[float, tuple[int, ...], bool]] = []
    for (as_one, _), group in groups.items():
        for members in _deal(group, capacity=fused_capacity if as_one else capacity):
            total = sum(cost(trial) for trial in members)
            packs.append((total, tuple(trial.number for trial in members), as_one))
    packs.sort(key=lambda item: (-item[0], item[1]))
    return [Pack(first_number + i, numbers, as_one) for i, (_, numbers, as_one) in enumerate(packs)]


def local_capacity(trials: int, *, workers: int, most: int = 16) -> int:
    """Choose a capacity that leaves each worker at least eight packs to even out their ends."""
    return max(1, min(most, trials // (8 * workers)))


def pod_capacity(trials: int, *, pods: int, lanes: int, most: int = 1000) -> int:
    """Choose a capacity that gives each pod about two packs, for a pod takes seconds to start.

    A pack never has fewer trials than the pod trains at a time.
    """
    return max(lanes, min(most, math.ceil(trials / (2 * pods))))


def fused_capacity(trials: int, *, workers: int, lanes: int, most: int = 1000) -> int:
    """Choose a capacity that fills the lanes of an array, and leaves each worker two packs."""
    return max(lanes, min(most, math.ceil(trials / (2 * workers))))


def _deal(group: Sequence[Trial], *, capacity: int) -> list[list[Trial]]:
    # Equal parts rather than full packs and a remainder: the last pack decides when a round ends.
    parts = math.ceil(len(group) / capacity)
    size, extra = divmod(len(group), parts)
    dealt: list[list[Trial]] = []
    start = 0
    for i in range(parts):
        end = start + size + (1 if i < extra else 0)
        dealt.append(list(group[start:end]))
        start = end
    return dealt
