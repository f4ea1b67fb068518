"""Say what a launch is about to do, before anything is written."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from sweep.plan.application import CPU, GPU, Application, Cost
from sweep.plan.facets import Facet, Flat, Grid
from sweep.plan.packing import (
    CPU_LANES,
    GPU_LANES,
    fused_capacity,
    local_capacity,
    pack,
    pod_capacity,
)
from sweep.plan.round import Base, Round
from sweep.plan.trial import Trial, Value
from sweep.schema import flatten
from sweep.study.siting import Site


@dataclass(frozen=True, slots=True)
class Outline:
    """The trials of one round, packed, with what they cost at most."""

    round: Round
    costs: Mapping[int, Cost]  # of the trials that are trained
    data: Mapping[str, str]  # name of a data set to its hash
    taken: int = 0  # trials that another study trained already

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
    application: Application | None,
    site: Site,
    pack_size: int | None = None,
    number: int = 1,
    first_pack: int = 0,
    known: Collection[int] = (),
) -> Outline:
    """Check the trials, find those that are equal in effect, and pack the rest.

    `known` trials have a record already, and are not packed.

    Nothing is known of the trials of a task that tells nothing about itself: each is trained, and
    costs the same. Raises BadInput where a configuration cannot be trained.
    """
    if application is None:
        return _unknown_task(
            bases, trials, site=site, size=pack_size, number=number, first_pack=first_pack
        )
    table = Grid([flatten(base.config) for base in bases], trials)
    _check(table, application)
    settled = _twins(table, application)
    distinct = [trial for trial in settled if trial.same_as is None]
    trained = [trial for trial in distinct if trial.number not in known]
    own = Grid(table.flats, trained)
    numbers = [trial.number for trial in trained]
    facts: dict[str, str] = {}
    for found in Grid(table.flats, distinct).distinct(application.data):
        facts.update(found)
    costs = dict(zip(numbers, own.ask(application.cost), strict=True))
    shapes = dict(zip(numbers, own.ask(application.shape), strict=True))
    fused = _fused(own, application, site)
    packs = pack(
        trained,
        same=lambda trial: shapes[trial.number],
        cost=lambda trial: costs[trial.number].flop,
        capacity=pack_size or _capacity(len(trained), site),
        first_number=first_pack,
        fused=lambda trial: trial.number in fused,
        fused_capacity=pack_size or _fused_capacity(len(fused), site),
    )
    round_ = Round(number=number, bases=bases, trials=settled, packs=packs)
    return Outline(round_, costs, facts, taken=len(distinct) - len(trained))


def grid(trials: Sequence[Trial]) -> dict[str, list[Value]]:
    """List the values that each varied key takes, in order of appearance."""
    found: dict[str, dict[str, Value]] = {}
    for trial in trials:
        for key, value in trial.values.items():
            found.setdefault(key, {}).setdefault(repr(value), value)
    return {key: list(values.values()) for key, values in found.items()}


def _unknown_task(
    bases: Sequence[Base],
    trials: Sequence[Trial],
    *,
    site: Site,
    size: int | None,
    number: int,
    first_pack: int,
) -> Outline:
    packs = pack(
        trials,
        same=lambda _: None,
        cost=lambda _: 1.0,
        capacity=size or _capacity(len(trials), site),
        first_number=first_pack,
    )
    costs = {trial.number: Cost(1, 1.0) for trial in trials}
    return Outline(Round(number=number, bases=bases, trials=trials, packs=packs), costs, {})


def _capacity(trials: int, site: Site) -> int:
    if site.settings is None:
        return local_capacity(trials, workers=site.workers)
    return pod_capacity(trials, pods=site.workers, lanes=site.lanes)


def _fused(table: Grid, application: Application, site: Site) -> set[int]:
    """Name the trials that are trained at once with others of their shape."""
    if application.fuses is None or application.run_pack is None:
        return set()
    kinds = table.ask(application.fuses)
    here = GPU if site.has_gpu else CPU
    return {t.number for t, kind in zip(table.trials, kinds, strict=True) if here in kind}


def _fused_capacity(trials: int, site: Site) -> int:
    workers = len(site.gpus) or site.workers
    lanes = GPU_LANES * site.gpus_of_a_pack if site.has_gpu else CPU_LANES
    return fused_capacity(trials, workers=workers, lanes=lanes)


def _check(table: Grid, application: Application) -> None:
    for flat in table.flats:
        for key, value in flat.items():
            application.check_value(key, value)
    for key in {key for trial in table.trials for key in trial.values}:
        table.distinct(Facet((key,), partial(_check_own, application, key)))
    for rule in application.rules:
        table.distinct(rule)


def _check_own(application: Application, key: str, config: Flat) -> None:
    application.check_value(key, config[key])


def _twins(table: Grid, application: Application) -> list[Trial]:
    first: dict[Hashable, int] = {}
    settled: list[Trial] = []
    effects = table.ask(application.effect)
    rests = table.rest(application.effect.keys)
    for trial, effect, rest in zip(table.trials, effects, rests, strict=True):
        twin = first.setdefault((effect, rest), trial.number)
        settled.append(trial if twin == trial.number else replace(trial, same_as=twin))
    return settled
