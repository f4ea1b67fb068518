"""Keep what a trial has come to, from one epoch to the next."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from sweep.plan.settings import Settings
from sweep.train.model import Weights
from sweep.train.schedule import Plateau, Progress
from sweep.train.score import Score

UNKNOWN, NONE_YET, UNREDUCED = Score(math.nan, math.nan), Progress(), Plateau()


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch came to."""

    number: int  # from 1
    train_loss: float  # mean over the epoch's windows, each before its step, without penalties
    val_loss: float
    lr: float  # of the last step
    best: float  # lowest validation loss so far, as early stopping counts it


@dataclass(frozen=True, slots=True)
class Story:
    """What a trial has come to after some epochs; the network and its optimiser stand beside it."""

    weights: Weights  # of the best epoch, the initial ones before the first
    best: Score = UNKNOWN  # of these weights
    epochs: tuple[Epoch, ...] = ()
    progress: Progress = NONE_YET
    plateau: Plateau = UNREDUCED

    def after(
        self,
        weights: Callable[[], Weights],
        *,
        settings: Settings,
        train_loss: float,
        score: Score,
        lr: float,
    ) -> Story:
        """Take in one epoch, at whose end `weights`, asked for where they are best, scored so."""
        number = len(self.epochs) + 1
        val_loss = loss_of(score, settings)
        progress = self.progress.after(val_loss, epoch=number, min_delta=settings.train.min_delta)
        better = progress.stale == 0
        return Story(
            weights=weights() if better else self.weights,
            best=score if better else self.best,
            epochs=(*self.epochs, Epoch(number, train_loss, val_loss, lr, progress.best)),
            progress=progress,
            plateau=self.plateau.after(progress, patience=settings.optim.schedule.patience),
        )

    def history(self) -> dict[str, list[float | None]]:
        """Give the curves, one value an epoch."""
        return {
            "train_loss": [epoch.train_loss for epoch in self.epochs],
            "val_loss": [epoch.val_loss for epoch in self.epochs],
            "lr": [epoch.lr for epoch in self.epochs],
        }


def loss_of(score: Score, settings: Settings) -> float:
    """Pick the error that the configuration trains on."""
    return score.mae if settings.train.loss == "mae" else score.mse
