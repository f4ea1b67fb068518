"""Compare scores seed by seed, and say only what the differences bear out."""

from __future__ import annotations

import math
import statistics
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from sweep.errors import BadInput

MIN_SEEDS = (
    5  # fewer say nothing of a difference: the interval of 4 is a third wider than that of 5
)


@dataclass(frozen=True, slots=True)
class Paired:
    """The mean of differences between pairs, and what interval it lies in."""

    mean: float
    sd: float
    pairs: int
    low: float
    high: float
    p: float  # two-sided, of no difference; adjusted where many were compared
    level: float  # of the two-sided interval

    @property
    def differs(self) -> bool:
        """Tell whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


def differences(
    first: Mapping[Hashable, float], second: Mapping[Hashable, float]
) -> dict[Hashable, float]:
    """Subtract `second` from `first` where both have a score, by seed."""
    return {seed: first[seed] - second[seed] for seed in first if seed in second}


def paired_interval(values: Sequence[float], *, level: float = 0.95) -> Paired | None:
    """Give the two-sided t-interval of a mean difference; None below `MIN_SEEDS` pairs.

    Student 1908. Equal differences, as of two equal trials, have an interval without width.
    Raises BadInput where SciPy is not installed.
    """
    if len(values) < MIN_SEEDS:
        return None
    mean, sd = statistics.fmean(values), statistics.stdev(values)
    freedom = len(values) - 1
    half = _t(1 - (1 - level) / 2, freedom) * sd / math.sqrt(len(values))
    return Paired(mean, sd, len(values), mean - half, mean + half, _p(mean, sd, freedom), level)


def one_sided(
    values: Sequence[float], *, level: float = 0.99, tests: int = 1
) -> tuple[float, float] | None:
    """Give the lower and the upper one-sided bound of a mean difference, each at `level`.

    They are two statements, each right with probability `level`; `tests` that are made together
    share the risk (Bonferroni). None below `MIN_SEEDS` pairs.
    Raises BadInput where SciPy is not installed.
    """
    found = paired_interval(values, level=1 - 2 * (1 - level) / tests)
    return None if found is None else (found.low, found.high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for being many, in their order (Holm 1979); at most 1."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    so_far = 0.0
    for place, i in enumerate(order):
        so_far = max(so_far, min(1.0, (len(p_values) - place) * p_values[i]))
        adjusted[i] = so_far
    return adjusted


def holm_intervals(
    samples: Sequence[Sequence[float]], *, level: float = 0.95
) -> list[Paired | None]:
    """Give the t-intervals of several mean differences that are read together.

    Ordered by p-value, the k-th of m has the level 1 - (1 - level) / (m - k + 1), as Holm tests it,
    and no interval excludes zero where that of a smaller p-value does not. p-values are adjusted.
    None for a sample below `MIN_SEEDS` pairs; it does not count as a comparison.
    Raises BadInput where SciPy is not installed.
    """
    plain = [paired_interval(values, level=level) for values in samples]
    known = [i for i, item in enumerate(plain) if item is not None]
    order = sorted(known, key=lambda i: _of(plain[i]).p)
    adjusted = dict(zip(known, holm([_of(plain[i]).p for i in known]), strict=True))
    found: list[Paired | None] = [None] * len(samples)
    tests = len(order)
    for i in order:
        own = _of(paired_interval(samples[i], level=1 - (1 - level) / tests))
        found[i] = Paired(
            own.mean, own.sd, own.pairs, own.low, own.high, adjusted[i], round(own.level, 6)
        )
        if own.differs:  # Holm goes on to the next with one comparison less, and stops otherwise
            tests -= 1
    return found


def mcnemar(first_only: int, second_only: int) -> float:
    """Give the exact two-sided p-value of McNemar's test (1947).

    `first_only` items are right under the first classifier alone, `second_only` under the second
    alone; what both or neither got right says nothing of their difference.
    """
    n = first_only + second_only
    tail = sum(math.comb(n, k) for k in range(min(first_only, second_only) + 1))
    return min(1.0, 2 * tail / (1 << n))


def more_often(first: int, of_first: int, second: int, of_second: int) -> float:
    """Give Fisher's exact one-sided p-value that `first` of `of_first` is no more than chance.

    For seeds that diverged: 5 of 5 against 0 of 5 gives 1/252.
    """
    total, hits = of_first + of_second, first + second
    ways = sum(
        math.comb(of_first, k) * math.comb(of_second, hits - k)
        for k in range(first, min(of_first, hits) + 1)
        if hits - k <= of_second
    )
    return ways / math.comb(total, hits)


def _of(item: Paired | None) -> Paired:
    assert item is not None
    return item


def _p(mean: float, sd: float, freedom: int) -> float:
    if sd == 0:
        return 1.0 if mean == 0 else 0.0
    t = abs(mean) / sd * math.sqrt(freedom + 1)
    tail: float = _special().stdtr(freedom, -t)
    return 2.0 * float(tail)


def _t(probability: float, freedom: int) -> float:
    return float(_special().stdtrit(freedom, probability))


def has_scipy() -> bool:
    """Tell whether intervals can be computed; it is imported by whoever computes one."""
    return find_spec("scipy") is not None


def _special() -> Any:
    # scipy.special alone: scipy.stats takes seconds to import.
    try:
        from scipy import special
    except ImportError:
        raise BadInput(
            "intervals over seeds need SciPy; pip install 'hydra-kubernetes-sweep[report]'"
        ) from None
    return special
