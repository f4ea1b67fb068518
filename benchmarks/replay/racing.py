"""Replay strategies on a recording, one worker, a clock of CPU-seconds."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field

from replay.recording import Curve, Recording

from sweep.plan.trial import Record, State
from sweep.search.blind import Random
from sweep.search.brackets import rungs
from sweep.search.choosing import choose
from sweep.search.halving import Bracket, Reached, Standing, next_job
from sweep.search.space import Choice, Point, identity
from sweep.search.strategy import Tried, tried

STARTS = {  # what the guide lets one begin with; a replay draws from them, as people differ
    "optim.lr": (0.001,),
    "model.hidden_size": (50, 100),
    "model.num_layers": (1, 2),
    "train.batch_size": (32, 128),
}


@dataclass
class Clock:
    """What a replay has spent, and what it would have shown a person at each moment.

    It sees one seed of every configuration, and a second one of those that it confirms. What it
    shows is held against the last seed, which no choice has looked at.
    """

    recording: Recording
    number: int  # of the replay
    spent_s: float = 0.0
    best: float = math.inf  # lowest loss seen
    shown: float = math.inf  # what the configuration that showed it comes to with the unseen seed
    steps: list[tuple[float, float]] = field(default_factory=list)
    lowest: dict[Hashable, tuple[float, Point]] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """Name the seed of the trainings that are seen."""
        return self._seed(0)

    def _seed(self, place: int) -> int:
        seeds = self.recording.seeds
        return seeds[(self.number + place) % len(seeds)]

    def curve(self, point: Point) -> Curve:
        """Give the training of a configuration that this replay sees."""
        return self.recording.curves[identity(point)][self.seed]

    def epoch(self, point: Point, number: int) -> float:
        """Train one epoch, counted from 1; return its validation loss."""
        curve = self.curve(point)
        return self.see(point, number, loss=curve.val[number - 1], cost_s=curve.cpu_s[number - 1])

    def see(self, point: Point, number: int, *, loss: float, cost_s: float) -> float:
        """Take note of an epoch, counted from 1, with its validation loss; return that."""
        self.spent_s += cost_s
        own = identity(point)
        self.lowest[own] = min(self.lowest.get(own, (math.inf, point))[0], loss), point
        if loss < self.best:
            self.best = loss
            self.show(point, epochs=number)
        return loss

    def show(self, point: Point, *, epochs: int) -> None:
        """Name a configuration as the best there is."""
        self.shown = self.recording.worth(point, epochs=epochs, seed=self._seed(2))
        self.steps.append((self.spent_s, self.shown))

    def confirm(self, count: int, *, budget_s: float) -> None:
        """Train the best ones again with a second seed, and show the best by the mean of both."""
        losses: list[tuple[float, Point]] = []
        for loss, point in sorted(self.lowest.values(), key=lambda item: item[0])[:count]:
            curve = self.recording.curves[identity(point)][self._seed(1)]
            if losses and self.spent_s + sum(curve.cpu_s) > budget_s:
                break
            self.spent_s += sum(curve.cpu_s)
            losses.append(((loss + min(curve.val)) / 2, point))
        _, best = min(losses, key=lambda item: item[0])
        self.show(best, epochs=self.recording.epochs)


Racer = Callable[[Recording, int, float], Clock]  # a recording, a replay's number, CPU-seconds


def ours(name: str) -> Racer:
    """Race one of our strategies, every trial trained to its end."""

    def race(recording: Recording, number: int, budget_s: float) -> Clock:
        clock = Clock(recording, number)
        strategy = choose(name, recording.space, start=start_of(recording, number), seed=number)
        past: list[Tried] = []
        while clock.spent_s < budget_s:
            found = strategy.suggest(past, most=1)
            if not found.points:
                break
            [point] = found.points
            for epoch in range(1, recording.epochs + 1):
                clock.epoch(point, epoch)
            past.append(_ended(len(past), point, clock.curve(point), recording.epochs))
        return clock

    return race


def halving(*, factor: int = 3) -> Racer:
    """Race ASHA over random configurations, each paused at its rungs."""

    def race(recording: Recording, number: int, budget_s: float) -> Clock:
        clock = Clock(recording, number)
        size = recording.space.size or 0
        points = Random(recording.space, number).suggest([], most=size).points
        bracket = Bracket(rungs(least=1, most=recording.epochs, factor=factor), factor)
        reached: list[Reached] = []
        begun = 0
        while clock.spent_s < budget_s:
            job = next_job(
                Standing(tuple(reached), coming=size), bracket=bracket, unbegun=size - begun
            )
            if job is None:
                break
            trial = begun if job.trial is None else job.trial
            begun += job.trial is None
            first = bracket.rungs[job.rung - 1] + 1 if job.rung else 1
            last = bracket.rungs[job.rung]
            for epoch in range(first, last + 1):
                clock.epoch(points[trial], epoch)
            cost = min(clock.curve(points[trial]).val[:last])
            reached.append(Reached(trial, job.rung, cost))
        return clock

    return race


CONFIRMED, SHARE = 5, 0.3  # how many are trained again, and for what part of the budget


def confirmed(racer: Racer) -> Racer:
    """Race as `racer` does for most of a budget, and confirm its best with a second seed."""

    def race(recording: Recording, number: int, budget_s: float) -> Clock:
        clock = racer(recording, number, (1 - SHARE) * budget_s)
        clock.confirm(CONFIRMED, budget_s=budget_s)
        return clock

    return race


def optuna_loop(recording: Recording, number: int, budget_s: float) -> Clock:
    """Race Optuna's own loop: its TPE and its median pruner, both as they come."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    clock = Clock(recording, number)
    sampler = optuna.samplers.TPESampler(seed=number)
    study = optuna.create_study(sampler=sampler, pruner=optuna.pruners.MedianPruner())

    def objective(trial: optuna.Trial) -> float:
        point = {
            key: trial.suggest_categorical(key, axis.values)
            for key, axis in recording.space.axes.items()
            if isinstance(axis, Choice)
        }
        best = float("inf")
        for epoch in range(1, recording.epochs + 1):
            best = min(best, clock.epoch(point, epoch))
            trial.report(best, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return best

    def enough(study: optuna.Study, _: optuna.trial.FrozenTrial) -> None:
        if clock.spent_s >= budget_s:
            study.stop()

    study.optimize(objective, n_trials=10 * (recording.space.size or 0), callbacks=[enough])
    return clock


OURS: Mapping[str, Racer] = {
    "random": ours("random"),
    "sobol": ours("sobol"),
    "staged": ours("staged"),
    "tpe": ours("tpe"),
    "gp": ours("gp"),
    "halving": halving(),
}
# Their answer is there at the end of a budget alone, so each budget is a race of its own.
TWICE: Mapping[str, Racer] = {
    "halving, confirmed": confirmed(halving()),
    "sobol, confirmed": confirmed(ours("sobol")),
}


def at(steps: list[tuple[float, float]], moment_s: float) -> Iterator[float]:
    """Give what a replay would have shown at a moment, if anything."""
    shown = [loss for spent, loss in steps if spent <= moment_s]
    yield from shown[-1:]


def start_of(recording: Recording, number: int) -> Point:
    """Draw what a replay's person begins with, within what the guide says."""
    source = random.Random(number)
    return {
        key: source.choice(STARTS.get(key) or axis.values)
        for key, axis in recording.space.axes.items()
        if isinstance(axis, Choice)
    }


def _ended(number: int, point: Point, curve: Curve, epochs: int) -> Tried:
    best = min(range(epochs), key=curve.val.__getitem__)
    record = Record(
        number,
        State.COMPLETED,
        curve.val[best],
        metrics={"best_epoch": best + 1, "epochs": epochs},
        history={"train_loss": list(curve.train[:epochs]), "val_loss": list(curve.val[:epochs])},
    )
    return tried(number, point, [record], direction="minimize")
