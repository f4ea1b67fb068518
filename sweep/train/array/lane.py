"""Keep what one trial of an array has come to, on the host's side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.plan.settings import Settings
from sweep.plan.trial import Failure
from sweep.train import checkpoint, draws, loop
from sweep.train.array import rates
from sweep.train.array.block import BEST, FIRST, SECOND, WEIGHTS, Leg, Rows, Task
from sweep.train.array.form import Form
from sweep.train.checkpoint import Standing
from sweep.train.criterion import Score
from sweep.train.step import BEGINNING, Diverged, Part, check
from sweep.train.story import Story, loss_of


@dataclass(slots=True, eq=False, kw_only=True)
class Lane:
    """One network of a trial, between two epochs."""

    settings: Settings
    task: Task
    data: str  # hash of what it is trained on
    limit: float  # a loss above it is divergence
    story: Story = field(default_factory=lambda: Story({}))
    part: Part = BEGINNING  # of the epoch under way
    leader: Story | None = None  # that it follows where nothing is held out to score it by
    failure: Failure | None = None
    rows: Rows = field(default_factory=dict)  # as it stands, while it has no slot

    @property
    def epoch(self) -> int:
        """Number the epoch under way, from 0."""
        return len(self.story.epochs)

    @property
    def over(self) -> bool:
        """Tell whether it is trained no further."""
        if self.leader is not None:
            return self.epoch >= self.leader.progress.best_epoch
        return self.story.over(self.settings)

    def leg(self) -> Leg:
        """Say what its next epoch takes; where it follows another network, at that one's rate."""
        own, steps = self.settings, self.task.steps
        if self.leader is not None:
            plateau = self.leader.plateau_before(self.epoch + 1, own)
            self.story = self.story.with_plateau(plateau)
        return Leg(
            settings=own,
            epoch=self.epoch,
            order=draws.permutation(own.train.seed, epoch=self.epoch, count=len(self.task.train)),
            moving=rates.moving(
                own,
                epoch=self.epoch,
                steps=steps,
                begun=self.part.steps,
                done=self.epoch * steps + self.part.steps,
                plateau=self.story.plateau,
            ),
        )

    def part_at(self, step: int, losses: NDArray[np.float64]) -> Part:
        """Say how far its epoch is before a step, from the losses [S] of its steps."""
        done = max(step, self.part.steps)
        return Part(done, self._total(losses[:done]))

    def take_in(self, losses: NDArray[np.float64], score: Score) -> bool:
        """Take an epoch into its story; tell whether its weights are to be kept.

        `losses` [S] are those of its steps; the score is of no account where nothing is held out.
        """
        own, steps = self.settings, self.task.steps
        try:
            for loss in losses[self.part.steps :].tolist():
                check(loss, limit=self.limit, where="training")
            if self.leader is None:
                check(loss_of(score, own), limit=self.limit, where="validation")
        except Diverged as error:
            self.failure = loop.diverged(error, epoch=self.epoch + 1)
            return False
        found = rates.learning_rates(own, epoch=self.epoch, steps=steps, plateau=self.story.plateau)
        train_loss, lr = self._total(losses) / len(self.task.train), float(found[-1])
        self.part = BEGINNING
        if self.leader is not None:
            self.story = self.story.unscored({}, train_loss=train_loss, lr=lr)
            return True
        self.story = self.story.after(dict, settings=own, train_loss=train_loss, score=score, lr=lr)
        return self.story.progress.stale == 0

    def _total(self, losses: NDArray[np.float64]) -> float:
        begun = self.part.steps
        own = losses[begun:] * self.task.counts[begun : len(losses)]
        return float(sum(own.tolist(), self.part.total))


def fresh(initial: NDArray[Any]) -> Rows:
    """Lay out what a lane begins with: weights, and an optimiser that has seen nothing."""
    nothing = np.zeros_like(initial)
    return {WEIGHTS: initial, BEST: initial, FIRST: nothing, SECOND: nothing}


def restore(lane: Lane, kept: bytes) -> None:
    """Put a lane where its checkpoint says.

    Raises NoCheckpoint before anything is changed.
    """
    form = lane.task.form
    standing = checkpoint.read(kept, data=lane.data, shapes=form.shapes)
    lane.rows = _rows(standing, form, lane.settings)
    lane.story, lane.part = replace(standing.story, weights={}), standing.part


def to_bytes(lane: Lane, *, rows: Rows, part: Part) -> bytes:
    """Write a checkpoint that `sweep.train.loop` reads as well; `rows` are the lane's."""
    form = lane.task.form
    steps = lane.epoch * lane.task.steps + part.steps
    standing = Standing(
        network=form.split(rows[WEIGHTS]),
        optimizer=_optimizer(lane, form, rows, steps=steps),
        story=replace(lane.story, weights=form.split(rows[BEST])),
        part=part,
    )
    return checkpoint.write(standing, data=lane.data)


def _rows(standing: Standing, form: Form, settings: Settings) -> Rows:
    first, second, _ = rates.STATES[settings.optim.name]
    own = {WEIGHTS: standing.network, BEST: standing.story.weights}
    rows = {name: form.join(arrays) for name, arrays in own.items()}
    for name, key in ((FIRST, first), (SECOND, second)):
        rows[name] = np.zeros_like(rows[WEIGHTS])
        for place in form.places:
            values = standing.optimizer.get(f"{place.index}/{key}") if key else None
            if values is not None:
                if values.shape != place.shape:
                    raise checkpoint.NoCheckpoint("its optimiser is of another network")
                rows[name][place.start : place.stop] = values.reshape(-1)
    return rows


def _optimizer(lane: Lane, form: Form, rows: Rows, *, steps: int) -> Mapping[str, NDArray[Any]]:
    """Name the optimiser's state as torch's own does, which has none before the first step."""
    optim = lane.settings.optim
    first, second, counts = rates.STATES[optim.name]
    if optim.name == "sgd" and optim.momentum == 0:
        first = None
    found: dict[str, NDArray[Any]] = {}
    for place in form.places:
        for key, row in ((first, rows[FIRST]), (second, rows[SECOND])):
            if key is not None:
                own = row[place.start : place.stop].reshape(place.shape)
                found[f"{place.index}/{key}"] = own
        if counts:
            found[f"{place.index}/step"] = np.array(steps, dtype=np.float32)
    return found
