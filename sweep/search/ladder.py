"""Order the values of an axis, so that a search can take one step up or down."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sweep.plan.trial import Value
from sweep.search.space import Axis, Choice, Interval, same

STEPS = 4  # of a range whose differences count
FEW = 10  # whole numbers that are all tried
HALF_DECADE = math.sqrt(10)
DOUBLE = 2.0


def ladder(axis: Axis, *, start: Value, finer: int = 0) -> Sequence[Value]:
    """List the values worth a step, in order; `start` is one of them, if the axis has it.

    A logarithmic range is climbed by half decades, whole numbers by doubling, any other range by
    quarters; the steps are halved `finer` times. What has no order keeps the order given.
    """
    if isinstance(axis, Choice):
        numbers = [v for v in axis.values if isinstance(v, int | float) and not isinstance(v, bool)]
        return sorted(numbers) if len(numbers) == len(axis.values) else axis.values
    if axis.whole and not axis.log and axis.high - axis.low < FEW:
        return list(range(int(axis.low), int(axis.high) + 1))
    begin = nearest(axis, start)
    found = {_inside(axis, axis.low), _inside(axis, axis.high), begin}
    for direction in (1, -1):
        steps = 1
        while axis.low < (number := _step(axis, begin, direction * steps / 2**finer)) < axis.high:
            found.add(number)
            steps += 1
    return sorted(found)


def nearest(axis: Axis, value: Value) -> Value:
    """Give the axis's value that comes closest; its first, where nothing is close to anything."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(axis, Interval):
        return _inside(axis, value if number else axis.low)
    numbers = [v for v in axis.values if isinstance(v, int | float) and not isinstance(v, bool)]
    if value in axis or not number or not numbers:
        return value if value in axis else axis.values[0]
    return min(numbers, key=lambda own: abs(own - value))


def place(rungs: Sequence[Value], value: Value) -> int:
    """Find a value on its ladder."""
    return next(index for index, own in enumerate(rungs) if same(own, value))


def _inside(axis: Interval, value: float) -> Value:
    found = min(max(value, axis.low), axis.high)
    return round(found) if axis.whole else float(found)


def _step(axis: Interval, begin: float, steps: float) -> Value:
    if axis.log:
        number = begin * (DOUBLE if axis.whole else HALF_DECADE) ** steps
        # Half decades with one digit are 1, 3, 10, 30; finer steps need another.
        digits = 1 if steps == int(steps) else 2
        return round(number) if axis.whole else float(f"{number:.{digits}g}")
    number = begin + steps * (axis.high - axis.low) / STEPS
    return round(number) if axis.whole else axis.nearest(number)
