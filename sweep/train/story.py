"""Keep what a trial has come to, from one epoch to the next."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from sweep.plan.settings import Settings
from sweep.train.criterion import Score
from sweep.train.model import Weights
from sweep.train.schedule import Plateau, Progress

NONE_YET, UNREDUCED = Progress(), Plateau()


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch came to."""

    number: int  # from 1
    train_loss: float  # mean over the epoch's windows, each before its step, without penalties
    val_loss: float
    lr: float  # of the last step
    best: float  # lowest validation loss so far, as early stopping counts it
    objective: float | None = None  # of a classifier: its error on the validation part


@dataclass(frozen=True, slots=True)
class Story:
    """What a trial has come to after some epochs; the network and its optimiser stand beside it."""

    weights: Weights  # of the best epoch, the initial ones before the first
    best: Score = field(default_factory=dict)  # of these weights
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
            epochs=(
                *self.epochs,
                Epoch(number, train_loss, val_loss, lr, progress.best, score.get("error")),
            ),
            progress=progress,
            plateau=self.plateau.after(progress, patience=settings.optim.schedule.patience),
        )

    def over(self, settings: Settings) -> bool:
        """Tell whether all epochs are done, or none has improved for as long as patience goes."""
        options = settings.train
        patience = math.inf if options.patience is None else options.patience
        return len(self.epochs) >= options.epochs or self.progress.stale >= patience

    def unscored(self, weights: Weights, *, train_loss: float, lr: float) -> Story:
        """Take in one epoch of a network that nothing is held out from."""
        number = len(self.epochs) + 1
        return replace(
            self,
            weights=weights,
            epochs=(*self.epochs, Epoch(number, train_loss, math.nan, lr, math.nan)),
            progress=Progress(math.nan, number, 0),
        )

    def with_plateau(self, plateau: Plateau) -> Story:
        """Let the rate of the next epoch be what another network came to."""
        return replace(self, plateau=plateau)

    def plateau_before(self, number: int, settings: Settings) -> Plateau:
        """Tell how often the rate was reduced before an epoch, counted from 1."""
        progress, plateau = NONE_YET, UNREDUCED
        for epoch in self.epochs[: number - 1]:
            progress = progress.after(
                epoch.val_loss, epoch=epoch.number, min_delta=settings.train.min_delta
            )
            plateau = plateau.after(progress, patience=settings.optim.schedule.patience)
        return plateau


def history(epochs: Sequence[Epoch]) -> dict[str, list[float | None]]:
    """Give the curves of some epochs."""
    curves: dict[str, list[float | None]] = {
        "train_loss": [epoch.train_loss for epoch in epochs],
        "val_loss": [epoch.val_loss for epoch in epochs],
        "lr": [epoch.lr for epoch in epochs],
    }
    if any(epoch.objective is not None for epoch in epochs):
        curves["val_error"] = [epoch.objective for epoch in epochs]
    return curves


def loss_of(score: Score, settings: Settings) -> float:
    """Pick the error that the configuration trains on."""
    return score[settings.train.loss]


def mean_epoch(stories: Sequence[Story], number: int) -> Epoch:
    """Average one epoch over folds; a fold that has stopped keeps its best scores."""
    if len(stories) == 1:
        return stories[0].epochs[number - 1]
    found = [_standing(story, number) for story in stories]
    errors = [epoch.objective for epoch in found if epoch.objective is not None]
    return Epoch(
        number,
        statistics.fmean(epoch.train_loss for epoch in found),
        statistics.fmean(epoch.val_loss for epoch in found),
        max(found, key=lambda epoch: epoch.number).lr,
        statistics.fmean(epoch.best for epoch in found),
        statistics.fmean(errors) if errors else None,
    )


def _standing(story: Story, number: int) -> Epoch:
    if number <= len(story.epochs):
        return story.epochs[number - 1]
    last = story.epochs[-1]
    return replace(last, val_loss=story.progress.best, objective=story.best.get("error"))
