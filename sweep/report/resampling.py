"""Compare forecasts over windows that depend on each other, by resampling blocks of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sweep.report.paired import mcnemar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

DRAWS = 2000
FEWEST_BLOCKS = 10  # a series of fewer has seen too little to say anything
AT_ONCE = 4_000_000  # numbers held at a time


@dataclass(frozen=True, slots=True)
class Resampled:
    """A mean difference over windows, with its interval."""

    mean: float
    low: float
    high: float
    level: float
    windows: int
    block: int  # windows that are drawn together
    mcnemar: float | None = None  # p, where each error is right or wrong: of the median seed

    @property
    def differs(self) -> bool:
        """Tell whether the interval excludes zero; of right and wrong, what McNemar's test says."""
        if self.mcnemar is not None:
            return self.mcnemar < 1 - self.level
        return self.low > 0 or self.high < 0


def versus(
    losses: Sequence[Sequence[float]], other: Sequence[float], *, overlap: int = 1
) -> Resampled | None:
    """Compare a winner with a baseline; what is merely right or wrong by McNemar's test.

    That test is of the seed whose mean is the median. None where there are too few windows.
    """
    plain = {value for row in (*losses, other) for value in row} <= {0.0, 1.0}
    found = block_bootstrap(losses, other, least_block=overlap, block=1 if plain else None)
    if found is None or not plain:
        return found
    middle = sorted(losses, key=sum)[(len(losses) - 1) // 2]
    pairs = list(zip(middle, other, strict=True))
    return replace(
        found,
        mcnemar=mcnemar(
            sum(own < their for own, their in pairs), sum(own > their for own, their in pairs)
        ),
    )


def block_bootstrap(
    losses: Sequence[Sequence[float]],
    other: Sequence[float],
    *,
    least_block: int = 1,
    block: int | None = None,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> Resampled | None:
    """Compare the losses of one model, given by seed, with another's, window by window.

    Windows overlap and weather lasts, so neighbours err alike: moving blocks of windows are drawn
    (Künsch 1989), as long as `block_length` says and at least `least_block` (the horizon: windows
    that share targets), or of the length given; seeds are drawn too. losses [S, W] and other [W]
    are in the order of time.
    The interval is the bootstrap's basic one. None where there are fewer than ten blocks.
    """
    import numpy as np

    first: Array = np.asarray(losses, dtype=np.float64)
    gaps: Array = first - np.asarray(other, dtype=np.float64)
    seeds, windows = gaps.shape
    block = block or max(least_block, block_length(gaps.mean(axis=0)))
    if windows < FEWEST_BLOCKS * block:
        return None
    rng = np.random.default_rng(seed)
    blocks = math.ceil(windows / block)
    # A mean of blocks is a difference of running sums: no window is looked at twice.
    sums: Array = np.concatenate([np.zeros((seeds, 1)), np.cumsum(gaps, axis=1)], axis=1)
    of_block: Array = sums[:, block:] - sums[:, :-block]  # [S, W - block + 1]
    found: Array = np.empty(draws)
    step = max(1, AT_ONCE // (blocks * seeds))
    for begin in range(0, draws, step):
        size = min(step, draws - begin)
        starts = rng.integers(0, windows - block + 1, size=(size, blocks))
        own = rng.integers(0, seeds, size=(size, seeds))
        weight: Array = np.stack([(own == s).mean(axis=1) for s in range(seeds)])  # [S, size]
        totals: Array = of_block[:, starts].sum(axis=2)  # [S, size]
        found[begin : begin + size] = (weight * totals).sum(axis=0) / (blocks * block)
    mean = float(gaps.mean())
    # Blocks at the ends are drawn less: the bootstrap's own centre is not quite the mean.
    found -= found.mean() - mean
    low, high = np.quantile(found, [(1 - level) / 2, 1 - (1 - level) / 2])
    return Resampled(mean, 2 * mean - float(high), 2 * mean - float(low), level, windows, block)


def block_length(series: Any) -> int:
    """Choose how many neighbours to draw together: Politis & White 2004, corrected 2009.

    Their rule for the circular bootstrap, whose variance is that of moving blocks.
    """
    import numpy as np

    x: Array = np.asarray(series, dtype=np.float64)
    n = len(x)
    x = x - x.mean()
    spread = float(x @ x) / n
    if n < 4 or spread <= 1e-12 * float(np.abs(x).max(initial=0.0)) ** 2:
        return 1
    run = max(5, math.ceil(math.sqrt(math.log10(n))))
    most = min(n - 1, math.ceil(math.sqrt(n)) + run)
    covariance = [float(x[: n - k] @ x[k:]) / n for k in range(most + 1)]
    bound = 2 * math.sqrt(math.log10(n) / n)
    small = [abs(c) / spread < bound for c in covariance]
    last = next((m for m in range(most - run + 1) if all(small[m + 1 : m + 1 + run])), None)
    if last is None:  # it depends further than can be seen: as far as its last large covariance
        last = max((k for k in range(1, most + 1) if not small[k]), default=1)
    wide = min(2 * max(last, 1), most)
    taper = [1.0 if k <= wide / 2 else 2 * (1 - k / wide) for k in range(1, wide + 1)]
    slope = 2 * sum(w * k * covariance[k] for k, w in enumerate(taper, start=1))
    level = spread + 2 * sum(w * covariance[k] for k, w in enumerate(taper, start=1))
    if level <= 0:
        return 1
    length: float = (2 * slope**2 / (4 / 3 * level**2) * n) ** (1 / 3)
    return max(1, math.ceil(min(length, 3 * math.sqrt(n), n / 3)))
