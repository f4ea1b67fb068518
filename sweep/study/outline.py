"""Say what a launch is about to do, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sweep.plan.application import Application, Cost, Flat
from sweep.plan.packing import local_capacity, pack
from sweep.plan.round import Base, Round
from sweep.plan.trial import Trial, Value
from sweep.schema import flatten


@dataclass(frozen=True, slots=True)
class Outline:
    """The trials of one round, packed, with what they cost at most."""

    round: Round
    costs: Mapping[int, Cost]  # of the trials that are trained

    @property
    def trained(self) -> int:
        """Count the trials that are trained rather than given another's result."""
        return len(self.costs)

    @property
    def epochs(self) -> int:
        """Sum the epochs of all trials, at most."""
        return sum(cost.epochs for cost in self.costs.values())

    @property
    def flop(self) -> float:
        """Sum the floating-point operations of all trials, at most."""
        return sum(cost.flop for cost in self.costs.values())


def outline(
    bases: Sequence[Base],
    trials: Sequence[Trial],
    *,
    application: Application,
    workers: int,
    pack_size: int | None = None,
    number: int = 1,
    first_pack: int = 0,
) -> Outline:
    """Check the trials, find those that are equal in effect, and pack the rest.

    Raises BadInput where a configuration cannot be trained.
    """
    flats = [flatten(base.config) for base in bases]
    application.check(flats)
    configs = [_set(flats[trial.base], trial.values) for trial in trials]
    application.check(configs)
    settled = _twins(trials, configs, application)
    trained = [trial for trial in settled if trial.same_as is None]
    by_number = dict(zip((trial.number for trial in trials), configs, strict=True))
    costs = {trial.number: application.cost(by_number[trial.number]) for trial in trained}
    packs = pack(
        trained,
        same=lambda trial: application.pack_key(by_number[trial.number]),
        cost=lambda trial: costs[trial.number].flop,
        capacity=pack_size or local_capacity(len(trained), workers=workers),
        first_number=first_pack,
    )
    return Outline(Round(number=number, bases=bases, trials=settled, packs=packs), costs)


def configurations(bases: Sequence[Base], trials: Sequence[Trial]) -> dict[int, Flat]:
    """Return every trial's flat configuration by its number."""
    flats = [flatten(base.config) for base in bases]
    return {trial.number: _set(flats[trial.base], trial.values) for trial in trials}


def grid(trials: Sequence[Trial]) -> dict[str, list[Value]]:
    """List the values that each varied key takes, in order of appearance."""
    found: dict[str, dict[str, Value]] = {}
    for trial in trials:
        for key, value in trial.values.items():
            found.setdefault(key, {}).setdefault(repr(value), value)
    return {key: list(values.values()) for key, values in found.items()}


def _set(flat: Flat, values: Mapping[str, Value]) -> Flat:
    return {**flat, **values}


def _twins(
    trials: Sequence[Trial], configs: Sequence[Flat], application: Application
) -> list[Trial]:
    first: dict[tuple[Value, ...], int] = {}
    settled: list[Trial] = []
    for trial, config in zip(trials, configs, strict=True):
        same = application.canonical(config)
        key = tuple(tuple(v) if isinstance(v, list) else v for v in same.values())
        twin = first.setdefault(key, trial.number)
        settled.append(trial if twin == trial.number else replace(trial, same_as=twin))
    return settled
