"""Choose points that need no result: all of them, at random, or spread evenly."""

from __future__ import annotations

import itertools
import random
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from sweep.errors import BadInput
from sweep.search.space import Point, Space, identity
from sweep.search.strategy import Next, Seen, Tried

TIRES = 1000  # draws in a row that bring nothing new: the space is used up
EXTRA = "pip install 'hydra-kubernetes-sweep[report]'"


@dataclass(frozen=True, slots=True)
class Grid:
    """Every combination, the last axis fastest."""

    space: Space

    def __post_init__(self) -> None:
        """Refuse a range, which has no combinations to list; raises BadInput."""
        if self.space.size is None:
            raise BadInput(
                "a grid needs values, not an interval: write KEY=VALUE,VALUE, or search with "
                "hydra.sweeper.strategy=sobol"
            )

    def suggest(self, past: Sequence[Tried], *, most: int) -> Next:
        """Go on with the grid."""
        return _first_new(map(self.space.crossed, range(self.space.size or 0)), past, most)


@dataclass(frozen=True, slots=True)
class Random:
    """Independent draws; without repetition."""

    space: Space
    seed: int = 0

    def suggest(self, past: Sequence[Tried], *, most: int) -> Next:
        """Go on drawing: the n-th draw depends on the seed and on n alone."""
        if self.space.size is not None:
            return _first_new(map(self.space.crossed, self._shuffled(self.space.size)), past, most)
        return _first_new(map(self._draw, itertools.count()), past, most)

    def _draw(self, index: int) -> Point:
        # A text seed goes through SHA-512, so that neighbouring draws have nothing in common.
        source = random.Random(f"{self.seed} {index}")  # noqa: S311  no secret
        return self.space.walk(lambda _, axis: axis.at(source.random()))

    def _shuffled(self, size: int) -> Iterator[int]:
        """Run through the whole numbers below `size` in random order (Fisher and Yates, lazily)."""
        source = random.Random(f"{self.seed}")  # noqa: S311  no secret
        moved: dict[int, int] = {}
        for place in range(size):
            other = place + int(source.random() * (size - place))
            yield moved.get(other, other)
            moved[other] = moved.pop(place, place)


@dataclass(frozen=True, slots=True)
class Sobol:
    """Quasi-random points: a scrambled Sobol sequence, by SciPy.

    The tuning playbook of Google's researchers advises it for exploration. Raises BadInput where
    SciPy is absent.
    """

    space: Space
    seed: int = 0

    def suggest(self, past: Sequence[Tried], *, most: int) -> Next:
        """Go on with the sequence: its n-th point depends on the seed and on n alone."""
        return _first_new(self._points(), past, most)

    def _points(self) -> Iterator[Point]:
        try:
            from scipy.stats.qmc import Sobol as Sequence_
        except ImportError:
            raise BadInput(
                f"hydra.sweeper.strategy=sobol needs SciPy: {EXTRA}, or take random"
            ) from None
        keys = self.space.keys
        source = Sequence_(max(1, len(keys)), rng=self.seed)
        while True:
            # Sixteen at a time keep the sequence's balance; SciPy warns of other numbers.
            for row in source.random(16):
                yield self.space.place(dict(zip(keys, map(float, row), strict=False)))


def _first_new(points: Iterable[Point], past: Sequence[Tried], most: int) -> Next:
    found = tuple(itertools.islice(Seen.of(past).new(_until_tired(points)), most))
    return Next(found, over=len(found) < most)


def _until_tired(points: Iterable[Point]) -> Iterator[Point]:
    """End an endless sequence once it does nothing but repeat itself."""
    seen: set[Hashable] = set()
    stale = 0
    for point in points:
        key = identity(point)
        stale = stale + 1 if key in seen else 0
        if stale > TIRES:
            return
        seen.add(key)
        yield point
