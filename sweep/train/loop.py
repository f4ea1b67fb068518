"""Train one configuration, told from the first epoch to the last."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sweep.plan.application import Checkpoints, Decision
from sweep.plan.settings import Settings
from sweep.plan.trial import Failure, State
from sweep.train import abreast, checkpoint, criterion, device, shapes
from sweep.train.cost import spent
from sweep.train.course import BeforeStep, Course, begin
from sweep.train.folds import folds, last_fold
from sweep.train.model import Weights
from sweep.train.precision import arithmetic
from sweep.train.step import Diverged
from sweep.train.story import Epoch, Story, history, mean_epoch

REMEDY = "lower the learning rate; try RMSprop (the guide, sections 3 and 4)"

OnEpoch = Callable[[Epoch], Decision]


@dataclass(frozen=True, slots=True)
class Trained:
    """What a trial came to."""

    state: State
    objective: float | None  # on the validation part, of the best epoch; mean over folds
    metrics: Mapping[str, float]
    history: Mapping[str, list[float | None]]  # one value an epoch; means over folds
    device: str
    failure: Failure | None = None
    weights: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)  # of the best epoch
    checkpoint: bytes | None = None  # of a trial that rests
    lanes: int | None = None  # of its array, where the last digits depend on how many there are


def train(
    settings: Settings,
    *,
    on_epoch: OnEpoch | None = None,
    checkpoints: Checkpoints | None = None,
) -> Trained:
    """Train one configuration on its data and keep the weights of its best epoch.

    With `data.folds` a network is trained on each, all of them epoch by epoch side by side; the
    objective is their mean, and the weights are those of one more network, trained on everything
    but the test part for as many epochs as were best in the median fold.
    `on_epoch` is asked after each epoch; where a trial goes on at an epoch's end, about that epoch
    once more. Where it answers STOP the trial is CANCELLED; where it answers PAUSE it is PAUSED,
    with a checkpoint of the epoch's end; unless that epoch was its last anyway. Equal settings give
    equal bits on one processor, whatever ran before in this process, and from whichever step of
    `checkpoints` it goes on; the caller sets the number of threads.
    A trial that diverges is INFEASIBLE at once, with the epoch and a remedy: a result, no error.
    Raises BadInput for data that cannot be used.
    """
    with arithmetic(settings):
        return _train(settings, on_epoch, checkpoints)


def _train(
    settings: Settings, on_epoch: OnEpoch | None, checkpoints: Checkpoints | None
) -> Trained:
    courses = _begin(settings, checkpoints)
    held = courses[: settings.data.folds]
    keep = _keeper(courses, checkpoints)
    state: State | None = None
    failure: Failure | None = None
    if abreast.rested(held):  # a checkpoint that was kept where the trial rests
        state = asked(on_epoch, held)
    try:
        while state is None:
            for course in abreast.behind(held):
                course.advance(keep)
            state = asked(on_epoch, held)
        if state is State.COMPLETED and settings.data.folds > 1:
            _refit(courses, keep)
    except Diverged as error:
        epoch = abreast.under_way(courses, folds=settings.data.folds)
        state, failure = State.INFEASIBLE, diverged(error, epoch=epoch)
    return summed_up(
        [course.story for course in held],
        settings=settings,
        weights=_weights(courses),
        state=state,
        failure=failure,
        device=device.model_name(courses[0].bench.feed.device),
        checkpoint=_kept(courses) if state is State.PAUSED else None,
    )


def diverged(error: Diverged, *, epoch: int) -> Failure:
    """Say of a trial that its loss left the numbers in an epoch, and what may help."""
    return Failure(type="Diverged", text=f"{error} in epoch {epoch}", remedy=REMEDY)


def summed_up(
    stories: Sequence[Story],
    *,
    settings: Settings,
    weights: Weights,
    state: State,
    failure: Failure | None,
    device: str,
    checkpoint: bytes | None = None,
) -> Trained:
    """Sum up a trial that is over, or rests, from the story of each fold."""
    feasible = failure is None
    epochs = [len(story.epochs) for story in stories]
    count = max(epochs) if feasible else min(epochs)
    own = criterion.of(settings).objective
    scored = _scores(stories, objective=own) if feasible else {}
    refitted = int(scored["best_epoch"]) if weights and len(stories) > 1 else 0
    counts = {
        "epochs": count,
        "parameters": shapes.parameters(settings),
        "flop": spent(settings, epochs=sum(epochs) + refitted),
    }
    return Trained(
        state=state,
        objective=scored.get(f"val_{own}"),
        metrics=counts | scored,
        history=history([mean_epoch(stories, number) for number in range(1, count + 1)]),
        device=device,
        failure=failure,
        weights=weights if feasible else {},
        checkpoint=checkpoint,
    )


def asked(on_epoch: OnEpoch | None, held: Sequence[abreast.Network]) -> State | None:
    """Tell how a trial ends after the newest epoch of its folds; None: it goes on."""
    told = on_epoch(abreast.newest(held)) if on_epoch is not None else Decision.GO_ON
    if all(each.over for each in held):
        return State.COMPLETED
    return {Decision.PAUSE: State.PAUSED, Decision.STOP: State.CANCELLED}.get(told)


def _refit(courses: list[Course], keep: BeforeStep | None) -> None:
    """Train on all but the test part, for the best epoch of the median fold."""
    own = courses[0].bench.settings
    leader = abreast.median(courses[: own.data.folds])
    if len(courses) == own.data.folds:
        courses.append(begin(own, fold=last_fold(own.data)))
    course = courses[-1]
    while len(course.story.epochs) < leader.progress.best_epoch:
        course.advance_like(leader, keep)


def _fresh(settings: Settings) -> list[Course]:
    if settings.data.folds == 1:
        return [begin(settings)]
    return [begin(settings, fold=fold) for fold in folds(settings.data)]


def _begin(settings: Settings, checkpoints: Checkpoints | None) -> list[Course]:
    courses = _fresh(settings)
    if checkpoints is None or checkpoints.last is None:
        return courses
    try:
        kept = checkpoint.split(checkpoints.last) if len(courses) > 1 else [checkpoints.last]
        if len(kept) > len(courses):  # the last is of the refit
            courses.append(begin(settings, fold=last_fold(settings.data)))
        for course, own in zip(courses, kept, strict=False):
            bench = course.bench
            course.story, course.part = checkpoint.restore(bench, data=bench.data, kept=own)
    except checkpoint.NoCheckpoint as error:
        checkpoints.reject(str(error))
        return _fresh(settings)
    return courses


def _keeper(courses: Sequence[Course], checkpoints: Checkpoints | None) -> BeforeStep | None:
    if checkpoints is None:
        return None

    def keep() -> None:
        if checkpoints.wanted():
            checkpoints.keep(_kept(courses))

    return keep


def _kept(courses: Sequence[Course]) -> bytes:
    kept = [
        checkpoint.to_bytes(
            course.bench, story=course.story, part=course.part, data=course.bench.data
        )
        for course in courses
    ]
    return checkpoint.join(kept) if len(kept) > 1 else kept[0]


def _weights(courses: Sequence[Course]) -> Weights:
    """Give the weights of the only network, or of the refit; {} where that is not yet."""
    if len(courses) == courses[0].bench.settings.data.folds > 1:
        return {}
    return courses[-1].story.weights


def _scores(stories: Sequence[Story], *, objective: str) -> dict[str, float]:
    """Average the scores of the best epochs over folds, with their spread."""
    names = stories[0].best
    found = {f"val_{name}": statistics.fmean(s.best[name] for s in stories) for name in names}
    epochs = sorted(story.progress.best_epoch for story in stories)
    found["best_epoch"] = epochs[(len(epochs) - 1) // 2]
    if len(stories) > 1:
        own = [story.best[objective] for story in stories]
        found[f"val_{objective}_sd"] = statistics.stdev(own)
        found |= {f"val_{objective}_fold_{n}": value for n, value in enumerate(own, start=1)}
    return found
