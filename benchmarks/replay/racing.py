"""Replay strategies on a recording, one worker, a clock of CPU-seconds."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from replay.recording import Curve, Recording

from sweep.plan.trial import Record, State
from sweep.search.blind import Random
from sweep.search.brackets import rungs
from sweep.search.choosing import choose
from sweep.search.halving import Bracket, Reached, Standing, next_job
from sweep.search.space import Choice, Point, identity
from sweep.search.strategy import Tried, tried

Steps = list[tuple[float, float]]  # CPU-seconds, and the score of what is shown from then on

STARTS = {  # what the guide lets one begin with; a replay draws from them, as people differ
    "optim.lr": (0.001,),
    "model.hidden_size": (50, 100),
    "model.num_layers": (1, 2),
    "train.batch_size": (32, 128),
}


CONFIRMED, SHARE = 5, 0.3  # how many are trained again, and for what part of the budget


@dataclass(frozen=True)
class Roles:
    """What the seeds of a recording are for in one replay; no choice looks at the unseen ones."""

    seen: int  # of every training of the search
    fresh: int  # of those that are confirmed
    unseen: Sequence[int]  # by their mean a configuration is scored

    @classmethod
    def of(cls, seeds: Sequence[int], number: int) -> Roles:
        """Give the roles of a replay; replays in a row take all there are in turn."""
        dealt = cls.all(seeds)
        return dealt[number % len(dealt)]

    @classmethod
    def all(cls, seeds: Sequence[int]) -> list[Roles]:
        """List every way to deal them."""
        return [
            cls(seen, fresh, [seed for seed in seeds if seed not in (seen, fresh)])
            for seen, fresh in itertools.permutations(seeds, 2)
        ]


@dataclass(frozen=True)
class Whole:
    """A training that a search has brought to its end."""

    spent_s: float  # by the search, until then
    loss: float
    point: Point


@dataclass
class Clock:
    """What a replay has spent, and what it would have shown a person at each moment."""

    recording: Recording
    number: int  # of the replay
    spent_s: float = 0.0
    best: float = math.inf  # lowest loss seen
    steps: Steps = field(default_factory=list)  # what was shown from when on, by its score
    whole: list[Whole] = field(default_factory=list)
    lowest: dict[Hashable, float] = field(default_factory=dict)

    @property
    def roles(self) -> Roles:
        """Tell what the seeds are for."""
        return Roles.of(self.recording.seeds, self.number)

    def curve(self, point: Point) -> Curve:
        """Give the training of a configuration that this replay sees."""
        return self.recording.curves[identity(point)][self.roles.seen]

    def epoch(self, point: Point, number: int) -> float:
        """Train one epoch, counted from 1; return its validation loss."""
        curve = self.curve(point)
        return self.see(point, number, loss=curve.val[number - 1], cost_s=curve.cpu_s[number - 1])

    def see(self, point: Point, number: int, *, loss: float, cost_s: float) -> float:
        """Take note of an epoch, counted from 1, with its validation loss; return that."""
        self.spent_s += cost_s
        own = identity(point)
        self.lowest[own] = min(self.lowest.get(own, math.inf), loss)
        if number == self.recording.epochs:
            self.whole.append(Whole(self.spent_s, self.lowest[own], point))
        if loss < self.best:
            self.best = loss
            self.steps.append((self.spent_s, self.score(point, epochs=number)))
        return loss

    def score(self, point: Point, *, epochs: int) -> float:
        """Give what a configuration comes to with the seeds that nothing has seen."""
        return self.recording.worth(point, epochs=epochs, seeds=self.roles.unseen)

    def shown(self, moment_s: float) -> float | None:
        """Give the score of what the search showed at a moment."""
        return at(self.steps, moment_s)

    def confirmed(self, moment_s: float) -> float | None:
        """Give the score of what is shown if a share of the time goes to a fresh seed.

        As hydra.sweeper.confirm does it: the best whole trainings begin again, the best first, and
        the fresh seed alone decides. Where there is no time for two, the search's best stays.
        """
        spent_s = (1 - SHARE) * moment_s
        known = [item for item in self.whole if item.spent_s <= spent_s]
        again: list[tuple[float, Point]] = []
        for item in sorted(known, key=lambda item: item.loss)[:CONFIRMED]:
            curve = self.recording.curves[identity(item.point)][self.roles.fresh]
            spent_s += sum(curve.cpu_s)
            if spent_s > moment_s:
                break
            again.append((min(curve.val), item.point))
        if len(again) < 2:
            return self.shown((1 - SHARE) * moment_s)
        _, best = min(again, key=lambda pair: pair[0])
        return self.score(best, epochs=self.recording.epochs)


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
DEAR = ("gp",)  # seconds a question, so it is raced to the budget and not to twice of it
FRESH = ", fresh seed"  # is added to the name of what is confirmed
TWICE = "random at twice"


def at(steps: Steps, moment_s: float) -> float | None:
    """Give the score of what was shown at a moment; None: nothing yet."""
    shown = [loss for spent, loss in steps if spent <= moment_s]
    return shown[-1] if shown else None


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
