"""Promote trials from rung to rung without waiting for the others: ASHA (arXiv:1810.05934).

Whoever has the rung records of a bracket can decide: the answers depend on nothing else. A trial
is paused at a rung until it stands among the best share of those that reached it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

Place = tuple[int, int]  # a trial, and the index of a rung


@dataclass(frozen=True, slots=True)
class Bracket:
    """The epochs at which trials are compared; the last is the whole training."""

    rungs: tuple[int, ...]
    factor: int = 3  # of those that reach a rung one in so many goes on

    @property
    def last(self) -> int:
        """Give the index of the rung that ends a training."""
        return len(self.rungs) - 1


@dataclass(frozen=True, slots=True)
class Reached:
    """A trial that stands at a rung."""

    trial: int
    rung: int
    cost: float  # the lowest until there; inf: it diverged, and counts, but never goes on


@dataclass(frozen=True, slots=True)
class Standing:
    """All that is known of a bracket's trials."""

    reached: Sequence[Reached] = ()
    claimed: Collection[Place] = ()  # promotions taken, by the rung that they lead away from
    lost: Collection[int] = ()  # trials that failed or were cancelled on their way
    coming: int = 0  # trials that may still reach the first rung, begun or not


@dataclass(frozen=True, slots=True)
class Job:
    """What a free worker does: take a trial to the end of a rung."""

    trial: int | None  # None: begin a new one
    rung: int


def promotions(standing: Standing, *, bracket: Bracket) -> list[Place]:
    """List the promotions that are open: the highest rung first, there the best first.

    Of `n` that reached a rung the best `n // factor` may go on, less those that did already.
    """
    rungs = _rungs(standing.reached)
    gone = _promoted(standing)
    return [
        (item.trial, rung)
        for rung in reversed(range(bracket.last))
        for item in rungs[rung][: len(rungs[rung]) // bracket.factor]
        if (item.trial, rung) not in gone and math.isfinite(item.cost)
    ]


def pruned(standing: Standing, *, bracket: Bracket) -> list[Place]:
    """List the paused trials that no later arrival can promote, with the rung they stand at.

    With `m` more to come the share is at most `(n + m) // factor`, and ranks only fall.
    """
    rungs, gone = _rungs(standing.reached), _promoted(standing)
    lost = set(standing.lost)
    coming, found = standing.coming, []
    for rung in range(bracket.last):
        members = rungs[rung]
        reach = (len(members) + coming) // bracket.factor
        hopeless = {
            item.trial
            for rank, item in enumerate(members)
            if (item.trial, rung) not in gone and (rank >= reach or not math.isfinite(item.cost))
        }
        found += [(item.trial, rung) for item in members if item.trial in hopeless]
        stay = hopeless | lost | {item.trial for item in rungs[rung + 1]}
        coming += sum(item.trial not in stay and math.isfinite(item.cost) for item in members)
    return found


def next_job(standing: Standing, *, bracket: Bracket, unbegun: int) -> Job | None:
    """Choose what a free worker does; None: nothing, until another record comes, or for good.

    A promotion goes before a new trial, as in the paper's algorithm 2.
    """
    for trial, rung in promotions(standing, bracket=bracket):
        return Job(trial, rung + 1)
    return Job(None, 0) if unbegun > 0 else None


def cost_at(curve: Sequence[float | None], *, epochs: int) -> float | None:
    """Give the lowest validation loss within so many epochs; None before they were trained.

    A loss that is not finite there makes it inf.
    """
    if len(curve) < epochs:
        return None
    known = [value for value in curve[:epochs] if value is not None and math.isfinite(value)]
    return min(known) if len(known) == epochs else math.inf


def decided(costs: Mapping[tuple[int, int], float], *, folds: int) -> dict[int, float]:
    """Average the costs of a rung over folds, of the trials that all their folds brought there.

    `costs` are by (trial, fold). A fold that diverged makes its trial's mean inf.
    """
    found: dict[int, list[float]] = defaultdict(list)
    for (trial, _), cost in sorted(costs.items()):
        found[trial].append(cost)
    return {
        trial: math.fsum(own) / folds if all(map(math.isfinite, own)) else math.inf
        for trial, own in found.items()
        if len(own) == folds
    }


def _rungs(reached: Iterable[Reached]) -> defaultdict[int, list[Reached]]:
    rungs: defaultdict[int, list[Reached]] = defaultdict(list)
    for item in reached:
        rungs[item.rung].append(item)
    for members in rungs.values():
        members.sort(key=lambda item: (item.cost, item.trial))
    return rungs


def _promoted(standing: Standing) -> set[Place]:
    # A record above is a promotion too, should the claim itself not have been read.
    above = {(item.trial, item.rung - 1) for item in standing.reached if item.rung}
    return above | set(standing.claimed)
