"""Say which share of the learning rate holds at each step, and what counts as improvement."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sweep.plan.settings import Schedule

STEP_GAMMA = 0.5  # where optim.schedule.gamma is null
EXPONENTIAL_GAMMA = 0.95
PLATEAU_GAMMA = 0.5


@dataclass(frozen=True, slots=True)
class Progress:
    """The best validation loss so far, and for how many epochs nothing has improved on it."""

    best: float = math.inf
    best_epoch: int = 0
    stale: int = 0

    def after(self, loss: float, *, epoch: int, min_delta: float) -> Progress:
        """Take in the loss of one epoch: it improves where it is lower by more than `min_delta`.

        Plateau and early stopping both use this test, and so does the choice of the best weights.
        """
        if loss < self.best - min_delta:
            return Progress(loss, epoch, 0)
        return Progress(self.best, self.best_epoch, self.stale + 1)


@dataclass(frozen=True, slots=True)
class Plateau:
    """How often the rate was reduced for want of improvement, and the wait for the next time."""

    reductions: int = 0
    waited: int = 0

    def after(self, progress: Progress, *, patience: int) -> Plateau:
        """Take in one epoch: `patience` epochs without improvement bring a reduction."""
        if progress.stale == 0:
            return Plateau(self.reductions, 0)
        if self.waited + 1 >= patience:
            return Plateau(self.reductions + 1, 0)
        return Plateau(self.reductions, self.waited + 1)


def factor(
    schedule: Schedule, *, epochs: int, epoch: int, progress: float = 0.0, plateau: Plateau
) -> float:
    """Tell the share of the learning rate at `epoch`, counted from 0, `progress` of it done.

    Warm-up rises with every step; then the schedule counts whole epochs from the warm-up's end,
    as torch.optim.lr_scheduler does, and has the epochs that are left as its horizon.
    """
    warmup = schedule.warmup_epochs
    if epoch < warmup:
        return (epoch + progress) / warmup
    since, horizon = epoch - warmup, epochs - warmup
    if schedule.name == "step":
        every = schedule.step_epochs or max(1, epochs // 3)
        return _or(schedule.gamma, STEP_GAMMA) ** (since // every)
    if schedule.name == "exponential":
        return _or(schedule.gamma, EXPONENTIAL_GAMMA) ** since
    if schedule.name == "cosine":
        low = schedule.min_factor
        return low + (1 - low) * (1 + math.cos(math.pi * since / horizon)) / 2
    if schedule.name == "plateau":
        return _or(schedule.gamma, PLATEAU_GAMMA) ** plateau.reductions
    return 1.0


def _or(gamma: float | None, default: float) -> float:
    return default if gamma is None else gamma
