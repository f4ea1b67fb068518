"""Say when a search has had enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sweep.errors import BadInput
from sweep.plan.trial import Value
from sweep.search.strategy import Tried

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stops:
    """Limits of a search; None: none."""

    max_trials: int | None = None  # a configuration with n seeds is n trials
    max_time_s: float | None = None
    gpu_hours: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no limit; raises BadInput."""
        for key, value in (
            ("hydra.sweeper.max_trials", self.max_trials),
            ("hydra.sweeper.max_time", self.max_time_s),
            ("hydra.launcher.budget.gpu_hours", self.gpu_hours),
        ):
            if value is not None and not _positive(value):
                raise BadInput(f"{key}={value}: must be a number above 0")

    def room(self, past: Sequence[Tried], *, seeds: int = 1) -> int | None:
        """Count the configurations that may still begin; None: any number."""
        if self.max_trials is None:
            return None
        return max(0, self.max_trials // seeds - len(past))

    def reached(self, past: Sequence[Tried], *, elapsed_s: float, seeds: int = 1) -> str | None:
        """Name the limit that was reached, None where there is some left of each."""
        if self.room(past, seeds=seeds) == 0:
            return f"{len(past) * seeds} trials are hydra.sweeper.max_trials={self.max_trials}"
        if self.max_time_s is not None and elapsed_s >= self.max_time_s:
            return f"{elapsed_s:.0f} s have passed, hydra.sweeper.max_time is {self.max_time_s:g} s"
        spent = gpu_hours(past)
        if self.gpu_hours is not None and spent >= self.gpu_hours:
            return f"{spent:.3g} GPU-hours are spent, the budget is {self.gpu_hours:g}"
        return None


def gpu_hours(past: Sequence[Tried]) -> float:
    """Sum what the results of a search cost, whichever attempt came to them."""
    return math.fsum(r.gpu_seconds for item in past for r in item.records) / HOUR_S


def _positive(value: Value) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 < value < math.inf
