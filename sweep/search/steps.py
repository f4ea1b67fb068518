"""Walk through a space step by step from the best so far, and note why."""

from __future__ import annotations

import math
from collections.abc import Generator, Hashable, Sequence
from dataclasses import dataclass, field

from sweep.plan.story import Decided
from sweep.plan.trial import Value
from sweep.search.ladder import ladder, nearest, place
from sweep.search.sentences import Sentence
from sweep.search.space import Point, Space, identity, same
from sweep.search.strategy import Tried

Stage = Generator[list[Point], list[Tried], None]  # asks for configurations, is told their results


@dataclass(slots=True)
class Walk:
    """What a walk has come to: the best so far, what was seen, and what was decided."""

    space: Space
    start: Point
    decisions: list[Decided] = field(default_factory=list)
    seen: list[Tried] = field(default_factory=list)  # in the order of the walk
    places: dict[Hashable, Tried] = field(default_factory=dict)  # the same, by configuration
    best: Tried = field(init=False)
    finer: int = 0  # how often the steps of ranges were halved

    def climb(
        self, key: str, stage: str, guide: Sentence, *, up: bool = True, down: bool = True
    ) -> Stage:
        """Step along an axis as long as a step makes it better; so an edge widens by itself."""
        begun, looked = self.best, [self.best]
        while moves := self.moves(key, up=up, down=down):
            yield from self.take(moves)
            looked += self.results(moves)
        if len(looked) > 1:
            self.note(stage, guide, self.outcome(key, begun), trials=looked, of=key)

    def try_all(self, key: str, stage: str, guide: Sentence) -> Stage:
        """Try every value of an axis at once."""
        begun = self.best
        moves = [
            point
            for value in self.values(key)
            if not self.tried(point := self.settled({**self.best.point, key: value}))
        ]
        yield from self.take(moves)
        if moves:
            looked = [begun, *self.results(moves)]
            self.note(stage, guide, self.outcome(key, begun), trials=looked, of=key)

    def take(self, moves: list[Point]) -> Stage:
        """Try some configurations at once, and go on from the best."""
        if not moves:
            return
        results = yield moves
        self.see(results)
        first = min(results, key=lambda item: (item.cost, item.number))
        if first.cost is not None and self.best.cost is not None and first.cost < self.best.cost:
            self.best = first

    def moves(
        self, key: str, *, up: bool = True, down: bool = True, only: Value = None
    ) -> list[Point]:
        """List the untried steps from the best along one axis."""
        rungs = self.values(key)
        if only is not None:
            rungs = [value for value in rungs if same(value, only)]
        elif rungs:
            here = place(rungs, self.best.point[key])
            wanted = [here + 1] * up + [here - 1] * down
            rungs = [rungs[index] for index in wanted if 0 <= index < len(rungs)]
        points = (self.settled({**self.best.point, key: value}) for value in rungs)
        return [point for point in points if not self.tried(point)]

    def settled(self, wanted: Point) -> Point:
        """Make a whole configuration of the space that is as near as can be to the wanted one."""
        given = {**self.start, **wanted}
        return self.space.walk(lambda key, axis: nearest(axis, given.get(key)))

    def see(self, results: Sequence[Tried]) -> None:
        """Take note of results."""
        self.seen += results
        self.places.update((identity(item.point), item) for item in results)

    def tried(self, point: Point) -> bool:
        """Tell whether the walk has been at a configuration."""
        return identity(point) in self.places

    def results(self, points: Sequence[Point]) -> list[Tried]:
        """Find what became of some configurations."""
        return [self.places[identity(point)] for point in points]

    def values(self, key: str) -> Sequence[Value]:
        """List the values of an axis that holds here, in the order of steps."""
        axis = self.space.active(self.best.point).get(key)
        if axis is None:
            return ()
        here = self.best.point[key]
        rungs = ladder(axis, start=here if self.finer else self.start.get(key), finer=self.finer)
        known = any(same(here, rung) for rung in rungs)
        return rungs if known else ladder(axis, start=here, finer=self.finer)

    def changes(self, points: Sequence[Point]) -> list[str]:
        """Name what some configurations change in the best."""
        return [
            f"{key}={value}"
            for point in points
            for key, value in point.items()
            if not same(value, self.best.point.get(key))
        ]

    def outcome(self, key: str, begun: Tried) -> str:
        """Say what a stage came to."""
        value = self.best.point[key]
        text = f"{'keep' if self.best is begun else 'take'} {key}={value}"
        rungs = list(self.values(key))
        # Off is a natural end, and so is one layer.
        ends = [rungs[-1], *(low for low in rungs[:1] if low not in (0, 1))]
        if isinstance(value, int | float) and len(rungs) > 2 and value in ends:
            text += ", the end of its range: a better one may lie beyond"
        return text

    def note(
        self,
        stage: str,
        guide: Sentence,
        decided: str,
        *,
        trials: Sequence[Tried],
        of: str | None = None,
        **numbers: float,
    ) -> None:
        """Write a decision down, with the numbers that it rests on."""
        evidence: dict[str, Value] = {
            "trials": [item.number for item in trials],
            "costs": [_finite(item.cost) for item in trials],
            **({of: [item.point.get(of) for item in trials]} if of else {}),
            **numbers,
        }
        self.decisions.append(Decided(stage, *guide, evidence, decided))


def words(point: Point) -> str:
    """Write a configuration as a person would type it."""
    return listed([f"{key}={value}" for key, value in point.items()])


def listed(items: Sequence[Value]) -> str:
    """Write a list as a person would."""
    return ", ".join(map(str, items))


def _finite(cost: float | None) -> float | None:
    return cost if cost is not None and math.isfinite(cost) else None
