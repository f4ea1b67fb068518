"""Train one configuration, told from the first epoch to the last."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sweep.plan.settings import Settings
from sweep.plan.trial import Failure, State
from sweep.train import device, model
from sweep.train.feed import open_feed
from sweep.train.schedule import Plateau, Progress
from sweep.train.score import Score, evaluate
from sweep.train.step import Diverged, check, one_epoch, set_up

REMEDY = "lower the learning rate; try RMSprop (the guide, sections 3 and 4)"


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch came to."""

    number: int  # from 1
    train_loss: float  # mean over the epoch's windows, each before its step, without penalties
    val_loss: float
    lr: float  # of the last step
    best: float  # lowest validation loss so far, as early stopping counts it


@dataclass(frozen=True, slots=True)
class Trained:
    """What a trial came to."""

    state: State
    objective: float | None  # validation loss of the best epoch, in the kind of train.loss
    metrics: Mapping[str, float]
    history: Mapping[str, list[float | None]]  # one value an epoch
    device: str
    failure: Failure | None = None
    weights: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)  # of the best epoch


def train(settings: Settings, *, on_epoch: Callable[[Epoch], bool] | None = None) -> Trained:
    """Train one configuration on its data and keep the weights of its best epoch.

    `on_epoch` is called after each epoch; where it returns True training stops there, and the
    trial is CANCELLED unless that epoch was its last anyway. Equal settings give equal bits on one
    processor, whatever ran before in this process; the caller sets the number of threads.
    A trial that diverges is INFEASIBLE at once, with the epoch and a remedy: a result, no error.
    Raises BadInput for data that cannot be used.
    """
    options, schedule = settings.train, settings.optim.schedule
    feed, windows = open_feed(settings)
    bench = set_up(settings, feed=feed, starts=windows.train)
    patience = math.inf if options.patience is None else options.patience
    progress, plateau = Progress(), Plateau()
    best, weights = Score(math.nan, math.nan), model.arrays(bench.network)
    epochs: list[Epoch] = []
    state, failure = State.COMPLETED, None
    for number in range(1, options.epochs + 1):
        try:
            train_loss, lr = one_epoch(bench, epoch=number - 1, plateau=plateau)
            score = evaluate(bench.network, feed=feed, starts=windows.val)
            val_loss = score.mae if options.loss == "mae" else score.mse
            check(val_loss, limit=bench.limit, where="validation")
        except Diverged as error:
            text = f"{error} in epoch {number}"
            state, failure = State.INFEASIBLE, Failure(type="Diverged", text=text, remedy=REMEDY)
            break
        progress = progress.after(val_loss, epoch=number, min_delta=options.min_delta)
        plateau = plateau.after(progress, patience=schedule.patience)
        if progress.stale == 0:
            best, weights = score, model.arrays(bench.network)
        epochs.append(Epoch(number, train_loss, val_loss, lr, progress.best))
        stop = on_epoch is not None and on_epoch(epochs[-1])
        if progress.stale >= patience:
            break
        if stop and number < options.epochs:
            state = State.CANCELLED
            break
    feasible = failure is None
    counts = {"epochs": len(epochs), "parameters": sum(w.size for w in weights.values())}
    scores = {"val_mse": best.mse, "val_mae": best.mae, "best_epoch": progress.best_epoch}
    return Trained(
        state=state,
        objective=progress.best if feasible else None,
        metrics=counts | scores if feasible else counts,
        history=_history(epochs),
        device=device.model_name(feed.values.device),
        failure=failure,
        weights=weights if feasible else {},
    )


def _history(epochs: Sequence[Epoch]) -> dict[str, list[float | None]]:
    return {
        "train_loss": [epoch.train_loss for epoch in epochs],
        "val_loss": [epoch.val_loss for epoch in epochs],
        "lr": [epoch.lr for epoch in epochs],
    }
