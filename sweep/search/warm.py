"""Begin a search with what is known to be good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.search.ladder import nearest
from sweep.search.space import Point, Space
from sweep.search.strategy import Next, Seen, Strategy, Tried


@dataclass(frozen=True, slots=True)
class Warm:
    """Try some configurations first; then ask the strategy, which knows their results."""

    strategy: Strategy
    first: tuple[Point, ...]

    def suggest(self, past: Sequence[Tried], *, most: int) -> Next:
        """Give what is left of the first, then what the strategy says."""
        left = tuple(Seen.of(past).new(self.first))
        return Next(left[:most]) if left else self.strategy.suggest(past, most=most)


def brought_in(point: Mapping[str, object], space: Space) -> Point:
    """Bring a configuration of another study into a space, as near as can be."""
    return space.walk(lambda key, axis: nearest(axis, point.get(key)))
