"""Tell whether a setting's values are spread by ratios or by differences."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from sweep.report.boundary import DECADE, LEARNING_RATE


def is_log(values: Sequence[float], *, key: str = "") -> bool:
    """Tell whether positive numbers that span a decade have their middle where ratios put it.

    So 50, 100, 200, 500 are read on a log scale, and uniform draws from 0 to 0.5 are not. A
    learning rate always is.
    """
    low, high = min(values), max(values)
    if low <= 0 or low == high:
        return False
    if key == LEARNING_RATE:
        return True
    if high / low < DECADE:
        return False
    middle = statistics.median(values)
    by_ratio = math.log(middle / low) / math.log(high / low)
    by_difference = (middle - low) / (high - low)
    return abs(by_ratio - 0.5) < abs(by_difference - 0.5)
