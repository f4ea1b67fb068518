"""Train one configuration, told from the first epoch to the last."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sweep.plan.application import Checkpoints, Decision
from sweep.plan.settings import Settings
from sweep.plan.trial import Failure, State
from sweep.train import checkpoint, data, device, model
from sweep.train.feed import open_feed
from sweep.train.score import evaluate
from sweep.train.step import BEGINNING, Bench, Diverged, Part, check, one_epoch, set_up
from sweep.train.story import Epoch, Story, loss_of

REMEDY = "lower the learning rate; try RMSprop (the guide, sections 3 and 4)"


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
    checkpoint: bytes | None = None  # of a trial that rests


def train(
    settings: Settings,
    *,
    on_epoch: Callable[[Epoch], Decision] | None = None,
    checkpoints: Checkpoints | None = None,
) -> Trained:
    """Train one configuration on its data and keep the weights of its best epoch.

    `on_epoch` is asked after each epoch; where a trial goes on at an epoch's end, about that epoch
    once more. Where it answers STOP the trial is CANCELLED; where it answers PAUSE it is PAUSED,
    with a checkpoint of the epoch's end; unless that epoch was its last anyway. Equal settings give
    equal bits on one processor, whatever ran before in this process, and from whichever step of
    `checkpoints` it goes on; the caller sets the number of threads.
    A trial that diverges is INFEASIBLE at once, with the epoch and a remedy: a result, no error.
    Raises BadInput for data that cannot be used.
    """
    feed, windows = open_feed(settings)
    bench = set_up(settings, feed=feed, starts=windows.train)
    story, part = _begin(bench, checkpoints)
    state: State | None = None
    failure: Failure | None = None
    if part == BEGINNING and story.epochs:  # a checkpoint that was kept where the trial rests
        state = asked(on_epoch, story, settings)
    while state is None:
        number = len(story.epochs) + 1
        try:
            train_loss, lr = one_epoch(
                bench,
                epoch=number - 1,
                plateau=story.plateau,
                begun=part,
                before_step=_keeper(bench, story, checkpoints),
            )
            score = evaluate(bench.network, feed=feed, starts=windows.val)
            check(loss_of(score, settings), limit=bench.limit, where="validation")
        except Diverged as error:
            state, failure = State.INFEASIBLE, diverged(error, epoch=number)
            continue
        part = BEGINNING
        story = story.after(
            lambda: model.arrays(bench.network),
            settings=settings,
            train_loss=train_loss,
            score=score,
            lr=lr,
        )
        state = asked(on_epoch, story, settings)
    name = device.model_name(bench.feed.values.device)
    rests = state is State.PAUSED
    kept = (
        checkpoint.to_bytes(bench, story=story, part=BEGINNING, data=_data(bench))
        if rests
        else None
    )
    return trained(story, state=state, failure=failure, device=name, checkpoint=kept)


def diverged(error: Diverged, *, epoch: int) -> Failure:
    """Say of a trial that its loss left the numbers in an epoch, and what may help."""
    return Failure(type="Diverged", text=f"{error} in epoch {epoch}", remedy=REMEDY)


def trained(
    story: Story,
    *,
    state: State,
    failure: Failure | None,
    device: str,
    checkpoint: bytes | None = None,
) -> Trained:
    """Sum up a trial that is over, or rests."""
    feasible = failure is None
    sizes = (weights.size for weights in story.weights.values())
    counts = {"epochs": len(story.epochs), "parameters": sum(sizes)}
    best = story.best
    scores = {
        "val_mse": best.mse,
        "val_mae": best.mae,
        "best_epoch": story.progress.best_epoch,
    }
    return Trained(
        state=state,
        objective=story.progress.best if feasible else None,
        metrics=counts | scores if feasible else counts,
        history=story.history(),
        device=device,
        failure=failure,
        weights=story.weights if feasible else {},
        checkpoint=checkpoint,
    )


def asked(
    on_epoch: Callable[[Epoch], Decision] | None, story: Story, settings: Settings
) -> State | None:
    """Tell how the trial ends after its newest epoch; None: it goes on."""
    options = settings.train
    told = on_epoch(story.epochs[-1]) if on_epoch is not None else Decision.GO_ON
    patience = math.inf if options.patience is None else options.patience
    if story.progress.stale >= patience or len(story.epochs) >= options.epochs:
        return State.COMPLETED
    return {Decision.PAUSE: State.PAUSED, Decision.STOP: State.CANCELLED}.get(told)


def _begin(bench: Bench, checkpoints: Checkpoints | None) -> tuple[Story, Part]:
    if checkpoints is not None and checkpoints.last is not None:
        try:
            return checkpoint.restore(bench, data=_data(bench), kept=checkpoints.last)
        except checkpoint.NoCheckpoint as error:
            checkpoints.reject(str(error))
    return Story(model.arrays(bench.network)), BEGINNING


def _keeper(
    bench: Bench, story: Story, checkpoints: Checkpoints | None
) -> Callable[[Part], None] | None:
    if checkpoints is None:
        return None

    def keep(part: Part) -> None:
        if checkpoints.wanted():
            checkpoints.keep(checkpoint.to_bytes(bench, story=story, part=part, data=_data(bench)))

    return keep


def _data(bench: Bench) -> str:
    return data.load(bench.settings.data).hash
