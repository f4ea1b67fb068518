"""Say what a strategy is: what to try next, from what was tried so far."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sweep.plan.story import Decided
from sweep.plan.trial import Record, State
from sweep.search.space import Point, identity


@dataclass(frozen=True, slots=True)
class Tried:
    """One configuration that was begun, and what came of it."""

    number: int
    point: Point
    cost: float | None = None  # less is better, inf: no result to use; None: it still runs
    records: tuple[Record, ...] = ()  # one a seed

    @property
    def ended(self) -> bool:
        """Tell whether all of it is over."""
        return self.cost is not None


@dataclass(frozen=True, slots=True)
class Next:
    """What to try next; nothing: wait for what runs, or, where it is over, stop."""

    points: tuple[Point, ...] = ()
    over: bool = False
    decisions: tuple[Decided, ...] = ()  # all so far, the first first


class Strategy(Protocol):
    """Decide what to try next; it remembers nothing between two questions.

    The same past gives the same answer, so whoever has the records can go on after a kill. Points
    lie in the space and differ from all that were tried, and from each other.
    """

    def suggest(self, past: Sequence[Tried], *, most: int) -> Next:
        """Give at most `most` new configurations; `past` in the order in which they began."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The configurations of the past, to tell new ones."""

    points: frozenset[object] = field(default_factory=frozenset)

    @classmethod
    def of(cls, past: Iterable[Tried]) -> Seen:
        """Take note of a past."""
        return cls(frozenset(identity(tried.point) for tried in past))

    def new(self, points: Iterable[Point]) -> Iterator[Point]:
        """Leave out what was seen before, here or in the past."""
        seen = set(self.points)
        for point in points:
            key = identity(point)
            if key not in seen:
                seen.add(key)
                yield point


def tried(
    number: int, point: Point, records: Sequence[Record], *, seeds: int = 1, direction: str
) -> Tried:
    """Judge a configuration by the mean objective of its `seeds`.

    A seed that diverged or failed leaves nothing to use: a mean over lucky seeds would mislead.
    """
    over = [record for record in records if record.state.terminal]
    if len(over) < seeds:
        return Tried(number, point, None, tuple(records))
    sign = -1.0 if direction == "maximize" else 1.0
    costs = [_cost(record, sign) for record in over]
    return Tried(number, point, math.fsum(costs) / len(costs), tuple(records))


def best_of(past: Iterable[Tried]) -> Tried | None:
    """Give the best that has a result, the first of equals."""
    usable = [item for item in past if item.cost is not None and math.isfinite(item.cost)]
    return min(usable, key=lambda item: (item.cost, item.number), default=None)


def _cost(record: Record, sign: float) -> float:
    usable = record.state in (State.COMPLETED, State.PRUNED) and record.objective is not None
    if not usable or not math.isfinite(record.objective or 0.0):
        return math.inf
    return sign * (record.objective or 0.0)
