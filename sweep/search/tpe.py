"""Ask Optuna what to try next, from the records alone."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sweep.errors import BadInput
from sweep.plan.trial import State, Value
from sweep.search.blind import EXTRA, Random
from sweep.search.space import Axis, Choice, Interval, Point, Space, identity, same
from sweep.search.strategy import Next, Seen, Tried

if TYPE_CHECKING:
    import optuna

NEWLY = 20  # times that a sampler is asked for what is new, before chance is
STARTUP = 10  # trials before a model of them is worth more than chance


@dataclass(frozen=True, slots=True)
class Tpe:
    """Optuna's tree-structured Parzen estimator, or its Gaussian process, as `kind` says.

    Both keep away from what still runs.

    The study is rebuilt from the past for every question, and the sampler's seed comes from `seed`
    and the length of the past. Raises BadInput where Optuna is absent.
    """

    space: Space
    seed: int = 0
    kind: str = "tpe"  # or gp

    def suggest(self, past: Sequence[Tried], *, most: int) -> Next:
        """Ask for as many configurations as are wanted, one after another."""
        found: list[Point] = []
        if most > 0:
            points = Seen.of(past).new(self._asked(past))
            found = [point for point, _ in zip(points, range(most), strict=False)]
        if len(found) < most:
            # Samplers repeat themselves in small spaces; the rest is taken at random.
            begun = [*past, *(Tried(len(past) + i, point) for i, point in enumerate(found))]
            rest = Random(self.space, self.seed).suggest(begun, most=most - len(found))
            found += rest.points
        return Next(tuple(found), over=len(found) < most)

    def _asked(self, past: Sequence[Tried]) -> Iterator[Point]:
        """Ask without end, but for a sampler that has nothing new to say."""
        study = _rebuilt(past, self.space, _sampler(self.kind, self.seed * 1_000_003 + len(past)))
        known, stale = set(Seen.of(past).points), 0
        while stale < NEWLY:
            with warnings.catch_warnings():
                # What diverged counts as the worst that is finite, which it says each time.
                warnings.simplefilter("ignore", UserWarning)
                point = self.space.walk(partial(_suggested, study.ask()))
            stale = stale + 1 if identity(point) in known else 0
            known.add(identity(point))
            yield point


def _sampler(kind: str, seed: int) -> optuna.samplers.BaseSampler:
    try:
        import optuna
    except ImportError:
        raise BadInput(f"hydra.sweeper.strategy={kind} needs Optuna: {EXTRA}") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if kind == "gp":
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # it warns of a package that it lacks
        return optuna.samplers.GPSampler(
            seed=seed % 2**32, n_startup_trials=STARTUP, warn_independent_sampling=False
        )
    return optuna.samplers.TPESampler(seed=seed % 2**32, n_startup_trials=STARTUP)


def _rebuilt(
    past: Sequence[Tried], space: Space, sampler: optuna.samplers.BaseSampler
) -> optuna.Study:
    import optuna

    study = optuna.create_study(sampler=sampler)
    for item in past:
        if item.point in space:
            study.add_trial(_trial(item, space))
    return study


def _trial(item: Tried, space: Space) -> optuna.trial.FrozenTrial:
    from optuna.trial import TrialState, create_trial

    axes = space.active({key: item.point[key] for key in space.selectors})
    params = {key: _told(axis, item.point[key]) for key, axis in axes.items()}
    shapes = {key: _distribution(axis) for key, axis in axes.items()}
    if item.cost is None:
        state, value = TrialState.RUNNING, None
    elif any(record.state is State.FAILED for record in item.records):
        state, value = TrialState.FAIL, None
    else:
        state, value = TrialState.COMPLETE, item.cost
    return create_trial(state=state, value=value, params=params, distributions=shapes)


def _distribution(axis: Axis) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(axis, Interval):
        if axis.whole:
            return IntDistribution(int(axis.low), int(axis.high), log=axis.log)
        return FloatDistribution(axis.low, axis.high, log=axis.log)
    if axis.ordered:
        return IntDistribution(0, len(axis.values) - 1)
    return CategoricalDistribution(range(len(axis.values)))


def _suggested(trial: optuna.Trial, key: str, axis: Axis) -> Value:
    if isinstance(axis, Interval):
        if axis.whole:
            return trial.suggest_int(key, int(axis.low), int(axis.high), log=axis.log)
        return axis.nearest(trial.suggest_float(key, axis.low, axis.high, log=axis.log))
    last = len(axis.values) - 1
    if axis.ordered:
        return axis.values[trial.suggest_int(key, 0, last)]
    return axis.values[trial.suggest_categorical(key, range(last + 1))]


def _told(axis: Axis, value: Value) -> Any:
    if isinstance(axis, Choice):
        return next(place for place, own in enumerate(axis.values) if same(own, value))
    return value
