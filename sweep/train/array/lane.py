"""Keep what one trial of an array has come to, on the host's side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.plan.application import Checkpoints, Decision
from sweep.plan.settings import Settings
from sweep.plan.trial import Failure, State
from sweep.train import checkpoint, draws
from sweep.train.array import rates
from sweep.train.array.block import BEST, FIRST, SECOND, WEIGHTS, Leg, Rows
from sweep.train.array.form import Form
from sweep.train.checkpoint import Standing
from sweep.train.loop import Trained, asked, trained
from sweep.train.step import BEGINNING, Part
from sweep.train.story import Epoch, Story

Ended = Callable[["Trained | Exception"], None]


@dataclass(slots=True, kw_only=True)
class Entry:
    """One trial that asks for a lane."""

    settings: Settings
    on_epoch: Callable[[Epoch], Decision] | None = None  # as of `sweep.train.loop.train`
    checkpoints: Checkpoints | None = None
    ended: Ended  # is told once what came of it
    told: int = 0  # epochs; one that has to be trained again is not told again


@dataclass(slots=True)
class Lane:
    """A trial in its slot, between two epochs."""

    entry: Entry
    data: str  # hash of what it is trained on
    limit: float  # a loss above it is divergence
    story: Story
    part: Part = BEGINNING  # of the epoch under way
    taken: int = 0  # steps that its optimiser took before this epoch's first
    failure: Failure | None = None
    rows: Rows = field(default_factory=dict)  # what its slot begins with

    @property
    def settings(self) -> Settings:
        """Give its configuration."""
        return self.entry.settings

    @property
    def epoch(self) -> int:
        """Number the epoch under way, from 0."""
        return len(self.story.epochs)

    def ask(self) -> State | None:
        """Ask what becomes of the trial after its newest epoch; None: it goes on."""
        return asked(self._tell, self.story, self.settings)

    def _tell(self, epoch: Epoch) -> Decision:
        entry = self.entry
        if entry.on_epoch is None or epoch.number <= entry.told:
            return Decision.GO_ON
        entry.told = epoch.number
        return entry.on_epoch(epoch)

    def leg(self, *, steps: int, windows: int) -> Leg:
        """Say what its next epoch takes."""
        own = self.settings
        return Leg(
            settings=own,
            epoch=self.epoch,
            order=draws.permutation(own.train.seed, epoch=self.epoch, count=windows),
            moving=rates.moving(
                own,
                epoch=self.epoch,
                steps=steps,
                begun=self.part.steps,
                done=self.taken + self.part.steps,
                plateau=self.story.plateau,
            ),
        )

    def last_rate(self, *, steps: int) -> float:
        """Tell the learning rate of the last step of the epoch under way."""
        own = rates.learning_rates(
            self.settings, epoch=self.epoch, steps=steps, plateau=self.story.plateau
        )
        return float(own[-1])


def open_lane(
    entry: Entry, *, form: Form, data: str, limit: float, initial: NDArray[Any], steps: int
) -> Lane:
    """Put a trial where its checkpoint says, or at its beginning."""
    checkpoints = entry.checkpoints
    if checkpoints is not None and checkpoints.last is not None:
        try:
            standing = checkpoint.read(checkpoints.last, data=data, shapes=form.shapes)
            rows = _rows(standing, form, entry.settings)
        except checkpoint.NoCheckpoint as error:
            checkpoints.reject(str(error))
        else:
            return Lane(
                entry,
                data,
                limit,
                replace(standing.story, weights={}),
                part=standing.part,
                taken=len(standing.story.epochs) * steps,
                rows=rows,
            )
    nothing = np.zeros_like(initial)
    rows = {WEIGHTS: initial, BEST: initial, FIRST: nothing, SECOND: nothing}
    return Lane(entry, data, limit, Story({}), rows=rows)


def to_bytes(lane: Lane, *, form: Form, rows: Rows, part: Part) -> bytes:
    """Write a checkpoint that `sweep.train.loop` reads as well; `rows` are its slot's."""
    standing = Standing(
        network=form.split(rows[WEIGHTS]),
        optimizer=_optimizer(lane, form, rows, steps=lane.taken + part.steps),
        story=replace(lane.story, weights=form.split(rows[BEST])),
        part=part,
    )
    return checkpoint.write(standing, data=lane.data)


def over(lane: Lane, *, form: Form, rows: Rows, state: State, name: str) -> Trained:
    """Sum up a trial whose lane is freed, from the rows of its slot."""
    rests = state is State.PAUSED
    return trained(
        replace(lane.story, weights=form.split(rows[BEST])),
        settings=lane.settings,
        state=state,
        failure=lane.failure,
        device=name,
        checkpoint=to_bytes(lane, form=form, rows=rows, part=BEGINNING) if rests else None,
    )


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
