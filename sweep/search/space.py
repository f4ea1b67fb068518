"""Say what a search may choose from: values and ranges, some of them only where others hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sweep.errors import BadInput
from sweep.plan.facets import hashable
from sweep.plan.trial import Value

Point = Mapping[str, Value]  # key to value: one configuration, as far as it is searched
DIGITS = 4  # significant, of a number drawn from a range: what people can read and repeat


@dataclass(frozen=True, slots=True)
class Choice:
    """Some values, in the order given."""

    values: tuple[Value, ...]

    def at(self, share: float) -> Value:
        """Give the value at `share` of the way, from 0 up to but not including 1."""
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]

    def __contains__(self, value: Value) -> bool:
        return any(same(value, own) for own in self.values)

    @property
    def ordered(self) -> bool:
        """Tell whether the values are numbers that rise."""
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in self.values)
        return numbers and list(self.values) == sorted(set(self.values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """All numbers from `low` to `high`, both included."""

    low: float
    high: float
    log: bool = False  # ratios count, not differences
    whole: bool = False  # whole numbers alone

    def at(self, share: float) -> Value:
        """Give the number at `share` of the way, from 0 up to but not including 1."""
        end = self.high + 1 if self.whole else self.high
        if self.log:
            number = math.exp(math.log(self.low) + share * math.log(end / self.low))
        else:
            number = self.low + share * (end - self.low)
        if self.whole:
            return int(min(max(math.floor(number), self.low), self.high))
        return self.nearest(number)

    def nearest(self, number: float) -> float:
        """Round to what people can read, without leaving the range."""
        return min(max(float(f"{number:.{DIGITS}g}"), self.low), self.high)

    def __contains__(self, value: Value) -> bool:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and self.low <= value <= self.high and (not self.whole or value == int(value))


Axis = Choice | Interval


@dataclass(frozen=True, slots=True)
class Branch:
    """Axes that hold only where other keys have given values."""

    when: Mapping[str, Value]
    axes: Mapping[str, Axis]


@dataclass(frozen=True, slots=True)
class Space:
    """Axes, and branches whose axes replace those of the same key where they hold."""

    axes: Mapping[str, Axis]
    branches: tuple[Branch, ...] = ()
    fixed: Mapping[str, Value] = field(default_factory=dict)  # values of keys that are no axis

    def __post_init__(self) -> None:
        """Refuse what cannot be searched; raises BadInput."""
        for axes in (self.axes, *(branch.axes for branch in self.branches)):
            for key, axis in axes.items():
                _check(key, axis)
        for key in self.selectors:
            if not isinstance(self.axes[key], Choice):
                raise BadInput(
                    f"hydra.sweeper.conditional: when {key}: it is searched over an interval; "
                    f"a condition needs values, {key}=VALUE,VALUE"
                )

    @property
    def keys(self) -> tuple[str, ...]:
        """List every key that some configuration may set."""
        found = dict.fromkeys(self.axes)
        for branch in self.branches:
            found.update(dict.fromkeys(branch.axes))
        return tuple(found)

    @property
    def selectors(self) -> tuple[str, ...]:
        """List the axes that some branch asks about."""
        asked = {key for branch in self.branches for key in branch.when}
        return tuple(key for key in self.axes if key in asked)

    def walk(self, pick: Callable[[str, Axis], Value]) -> dict[str, Value]:
        """Make one configuration by picking a value of every axis that holds."""
        chosen = {key: pick(key, self.axes[key]) for key in self.selectors}
        return {
            key: chosen[key] if key in chosen else pick(key, axis)
            for key, axis in self.active(chosen).items()
        }

    def active(self, chosen: Point) -> dict[str, Axis]:
        """List the axes that hold where the selectors have these values."""
        axes = dict(self.axes)
        given = {**self.fixed, **chosen}
        for branch in self.branches:
            if all(key in given and same(given[key], v) for key, v in branch.when.items()):
                axes.update(branch.axes)
        return axes

    def place(self, shares: Mapping[str, float]) -> dict[str, Value]:
        """Make the configuration at these shares of the way along each axis."""
        return self.walk(lambda key, axis: axis.at(shares[key]))

    def __contains__(self, point: Point) -> bool:
        axes = self.active({key: point[key] for key in self.selectors if key in point})
        return set(point) == set(axes) and all(point[key] in axis for key, axis in axes.items())

    @property
    def size(self) -> int | None:
        """Count the configurations; None where a range makes them too many to count."""
        counts = [_count(block.values()) for block in self._blocks()]
        return None if None in counts else sum(count or 0 for count in counts)

    def crossed(self, index: int) -> dict[str, Value]:
        """Give one of the `size` configurations, the last axis fastest; for choices alone."""
        for block in self._blocks():
            count = _count(block.values()) or 0
            if index < count:
                return _at(block, index)
            index -= count
        raise IndexError(index)

    def _blocks(self) -> Iterator[dict[str, Axis]]:
        selectors = {key: self.axes[key] for key in self.selectors}
        for index in range(_count(selectors.values()) or 0):
            chosen = _at(selectors, index)
            held = self.active(chosen)
            yield {k: Choice((chosen[k],)) if k in chosen else axis for k, axis in held.items()}


def same(one: Value, other: Value) -> bool:
    """Tell whether two values are the same to a schema: 1, 1.0 and True are not."""
    return type(one) is type(other) and bool(one == other)


def identity(point: Point) -> Hashable:
    """Give what is equal for equal configurations."""
    return tuple(sorted((key, type(v).__name__, hashable(v)) for key, v in point.items()))


def _at(axes: Mapping[str, Axis], index: int) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for key, axis in reversed(list(axes.items())):
        assert isinstance(axis, Choice)
        index, place = divmod(index, len(axis.values))
        found[key] = axis.values[place]
    return {key: found[key] for key in axes}


def _count(axes: Iterable[Axis]) -> int | None:
    counts = [len(axis.values) if isinstance(axis, Choice) else None for axis in axes]
    return None if None in counts else math.prod(count or 0 for count in counts)


def _check(key: str, axis: Axis) -> None:
    if isinstance(axis, Choice):
        if not axis.values:
            raise BadInput(f"{key}: there is no value to choose; write {key}=VALUE,VALUE")
        return
    if not (math.isfinite(axis.low) and math.isfinite(axis.high) and axis.low < axis.high):
        raise BadInput(f"{key}: interval({axis.low:g}, {axis.high:g}) has to rise between numbers")
    if axis.log and axis.low <= 0:
        raise BadInput(f"{key}: a logarithmic interval begins above 0, not at {axis.low:g}")
    if axis.whole and (axis.low != int(axis.low) or axis.high != int(axis.high)):
        raise BadInput(f"{key}: int(interval(...)) needs whole numbers at both ends")
