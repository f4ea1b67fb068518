"""Add up what a study has spent, and say when that is enough."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sweep.errors import BadInput
from sweep.plan.trial import Value

MINUTE_S, HOUR_S = 60.0, 3600.0
LEAST_DEADLINE_S = 60  # a pod that is pulled, started and stopped at once has told nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One attempt of a pack, as its object and its records tell."""

    claimed: float  # UTC seconds since 1970
    ended: float  # when it closed, or was last heard of
    useful: float  # the end of its last trial that has a record, `claimed` where there is none
    gpus: float = 0.0  # devices that it held all the while
    cpus: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Device-seconds that were held, whether they did any work or not."""

    gpu_s: float = 0.0
    cpu_s: float = 0.0
    wasted_gpu_s: float = 0.0  # of these: after the last result of an attempt
    wasted_cpu_s: float = 0.0

    def __str__(self) -> str:
        parts = [
            _amount(held, what) + (f" ({_amount(lost, what)} of them lost)" if lost else "")
            for what, held, lost in (
                ("GPU", self.gpu_s, self.wasted_gpu_s),
                ("CPU", self.cpu_s, self.wasted_cpu_s),
            )
            if held
        ]
        return ", ".join(parts) or "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a study may spend; None: no limit."""

    gpu_hours: float | None = None
    cpu_hours: float | None = None


def spent(lives: Iterable[Life], *, carried: Spent | None = None) -> Spent:
    """Sum the device-seconds of all attempts, lost ones included.

    `carried` is what checkpoints saved of attempts that ended without a result. A trial that was
    taken over from another study has no attempt, and costs nothing.
    """
    saved = carried or Spent()
    held = [(max(0.0, life.ended - life.claimed), _lost(life), life) for life in lives]
    return Spent(
        gpu_s=math.fsum(seconds * life.gpus for seconds, _, life in held),
        cpu_s=math.fsum(seconds * life.cpus for seconds, _, life in held),
        wasted_gpu_s=max(0.0, math.fsum(lost * life.gpus for _, lost, life in held) - saved.gpu_s),
        wasted_cpu_s=max(0.0, math.fsum(lost * life.cpus for _, lost, life in held) - saved.cpu_s),
    )


def read_budget(options: Mapping[str, Value]) -> Budget:
    """Read hydra.launcher.budget.

    Raises BadInput for what is no positive number.
    """
    found = {key: options.get(key) for key in ("gpu_hours", "cpu_hours")}
    for key, value in found.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (number and 0 < value < math.inf):
            raise BadInput(f"hydra.launcher.budget.{key}={value}: must be a number above 0")
    return Budget(**found)


def used_up(budget: Budget, spent_: Spent) -> str | None:
    """Say which part of a budget is used up, None where there is some left of each."""
    for what, most, held in (
        ("GPU", budget.gpu_hours, spent_.gpu_s),
        ("CPU", budget.cpu_hours, spent_.cpu_s),
    ):
        if most is not None and held >= most * HOUR_S:
            key = f"hydra.launcher.budget.{what.lower()}_hours"
            return f"{_hours(held)} {what}-hours are spent, and {key} is {most:g}"
    return None


def deadline_s(
    budget: Budget, *, parallelism: int, gpus: float, cpus: float, already: Spent | None = None
) -> int | None:
    """Bound the seconds of a Job whose pods hold these devices; None where nothing bounds them.

    The backstop for a study without a conductor: pods that all run use the rest of the budget up
    in this time. `already` is what earlier rounds spent.
    """
    before = already or Spent()
    bounds = [
        (hours * HOUR_S - held) / (parallelism * devices)
        for hours, held, devices in (
            (budget.gpu_hours, before.gpu_s, gpus),
            (budget.cpu_hours, before.cpu_s, cpus),
        )
        if hours is not None and devices > 0
    ]
    return max(LEAST_DEADLINE_S, math.ceil(min(bounds))) if bounds else None


def _lost(life: Life) -> float:
    return max(0.0, life.ended - max(life.claimed, life.useful))


def _amount(seconds: float, what: str) -> str:
    if seconds < MINUTE_S:
        return f"{seconds:.2g} {what}-seconds"
    if seconds < HOUR_S:
        return f"{seconds / MINUTE_S:.3g} {what}-minutes"
    return f"{_hours(seconds)} {what}-hours"


def _hours(seconds: float) -> str:
    return f"{seconds / HOUR_S:.3g}"
