"""Rank configurations by their mean objective over seeds."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sweep.errors import BadInput
from sweep.plan.facets import Flat
from sweep.plan.selection import Selection
from sweep.plan.trial import Record, State, Trial, Value
from sweep.report.varied import Varied, find_varied, hashable, in_order

DIRECTIONS = ("minimize", "maximize")
SEED = "train.seed"


@dataclass(frozen=True, slots=True)
class Configuration:
    """Trials that are equal in effect in all varied settings but the seed."""

    values: Mapping[str, tuple[Value, ...]]  # several where they are equal in effect
    trials: tuple[int, ...]  # the trained ones, ascending: one a seed
    states: Mapping[State, int]  # of these trials; PENDING where there is no record
    scores: tuple[float, ...]  # objectives of the completed ones, in the order of trials
    by_seed: Mapping[Value, float] = field(default_factory=dict)  # the same scores
    screened: tuple[float, ...] = ()  # of the search, where fresh seeds have confirmed it since
    confirmed: bool = False  # its trials are those of fresh seeds

    @property
    def mean(self) -> float | None:
        """Give the mean objective over the seeds that completed."""
        return statistics.fmean(self.scores) if self.scores else None

    @property
    def sd(self) -> float | None:
        """Give the sample standard deviation over seeds, from two on."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else None

    @property
    def infeasible(self) -> int:
        """Count the seeds that diverged."""
        return self.states.get(State.INFEASIBLE, 0)


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """Configurations from the best on, and what became of all trials."""

    objective: str  # its name, such as val_mse
    test: str  # the name of the same number on the test part
    direction: str
    varied: Mapping[str, tuple[Value, ...]]  # without the seed
    names: Mapping[str, str]  # short names of the varied settings
    ranked: tuple[Configuration, ...]
    unranked: tuple[Configuration, ...]  # none of their trials gave an objective
    counts: Mapping[State, int]  # of trained trials; PENDING where there is no record
    twins: int  # trials that share the result of another, equal in effect

    @property
    def best(self) -> Configuration | None:
        """Give the winner, where anything completed."""
        return self.ranked[0] if self.ranked else None


def rank(
    trials: Sequence[Trial],
    *,
    bases: Sequence[Flat],
    records: Mapping[int, Record],
    direction: str = "minimize",
    objective: str = "objective",
    test: str = "test",
    seed: str = SEED,
    selection: Selection | None = None,
    aside: Collection[int] = (),
) -> Leaderboard:
    """Rank the configurations of `trials` by mean objective; equal means by trial number.

    Only completed trials with a finite objective are ranked. A configuration that lost a seed to
    divergence stands below all that did not: its mean is over the lucky seeds alone. Once all of a
    `selection` has ended, its configurations come first, by their fresh seeds alone: the scores
    that made them the best of many flatter them. Trials `aside` do not compete.
    Raises BadInput for a direction that is neither minimize nor maximize.
    """
    if direction not in DIRECTIONS:
        raise BadInput(f"direction '{direction}' does not exist; write minimize or maximize")
    trained = {trial.number for trial in trials if trial.same_as is None}
    counts, twins = _states(trained, records), len(trials) - len(trained)
    fresh = selection.fresh if selection else frozenset()
    done = all(_ended(records.get(number)) for number in fresh)
    out = {*aside, *(() if done else fresh)}
    trials = [trial for trial in trials if trial.number not in out]
    varied = find_varied(trials, bases=bases)
    keys = [key for key in varied.values if key != seed]
    seeds = {t.number: t.values.get(seed, bases[t.base].get(seed)) for t in trials}
    found = [
        _gather(group, varied, keys, records, seeds=seeds, fresh=fresh)
        for group in _equal_in_effect(trials, varied, keys)
    ]
    ranked = [item for item in found if item.scores]
    ranked.sort(
        key=lambda item: (
            not item.confirmed,
            item.infeasible > 0,
            cost(item.mean, direction),
            item.trials,
        )
    )
    return Leaderboard(
        objective=objective,
        test=test,
        direction=direction,
        varied={key: varied.values[key] for key in keys},
        names={key: varied.names[key] for key in keys},
        ranked=tuple(ranked),
        unranked=tuple(item for item in found if not item.scores),
        counts=counts,
        twins=twins,
    )


def cost(score: float | None, direction: str) -> float:
    """Turn a score into one where less is better; none is worst."""
    if score is None:
        return math.inf
    return score if direction == "minimize" else -score


def result_of(trial: Trial) -> int:
    """Name the trial whose record is this one's result."""
    return trial.number if trial.same_as is None else trial.same_as


def _equal_in_effect(
    trials: Sequence[Trial], varied: Varied, keys: Sequence[str]
) -> list[list[Trial]]:
    """Group trials that agree but for the seed, or share a result with one that does."""
    groups: dict[Value, list[Trial]] = defaultdict(list)
    place: dict[int, Value] = {}
    for trial in trials:
        values = varied.of(trial)
        place[trial.number] = tuple(hashable(values[key]) for key in keys)
        groups[place[trial.number]].append(trial)
    leader = {group: group for group in groups}

    def find(group: Value) -> Value:
        while leader[group] != group:
            leader[group] = leader[leader[group]]
            group = leader[group]
        return group

    for trial in trials:
        if trial.same_as in place:
            leader[find(place[trial.number])] = find(place[trial.same_as])
    merged: dict[Value, list[Trial]] = defaultdict(list)
    for group, members in groups.items():
        merged[find(group)].extend(members)
    return list(merged.values())


def _gather(
    group: Sequence[Trial],
    varied: Varied,
    keys: Sequence[str],
    records: Mapping[int, Record],
    *,
    seeds: Mapping[int, Value],
    fresh: Collection[int],
) -> Configuration:
    every = sorted({result_of(trial) for trial in group})
    numbers = [number for number in every if number in fresh] or every
    of_each = [varied.of(trial) for trial in group]
    values = {
        key: in_order({hashable(own[key]): own[key] for own in of_each}.values()) for key in keys
    }
    scores = {number: _score(records.get(number)) for number in every}
    known = {number: score for number, score in scores.items() if score is not None}
    return Configuration(
        values=values,
        trials=tuple(numbers),
        states=_states(numbers, records),
        scores=tuple(known[number] for number in numbers if number in known),
        by_seed={
            hashable(seeds.get(number)): known[number] for number in numbers if number in known
        },
        screened=tuple(known[n] for n in every if n in known and n not in numbers),
        confirmed=any(number in fresh for number in numbers),
    )


def _ended(record: Record | None) -> bool:
    return record is not None and record.state.terminal


def _score(record: Record | None) -> float | None:
    if record is None or record.state is not State.COMPLETED or record.objective is None:
        return None
    return record.objective if math.isfinite(record.objective) else None


def _states(numbers: Sequence[int] | set[int], records: Mapping[int, Record]) -> dict[State, int]:
    found = (records[number].state if number in records else State.PENDING for number in numbers)
    return dict(Counter(found))
