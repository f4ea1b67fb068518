"""Split the variance of a score among settings and pairs of settings: functional ANOVA.

Regression trees are grown on the trials, and every tree, which is constant on the boxes of its
leaves, is split exactly (Hutter, Hoos and Leyton-Brown, ICML 2014). Trees are grown here, level by
level, because each setting has few steps: all splits of a level are one histogram.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]

Pair = tuple[int, int]
ROUNDING = 1e-12  # of a sum of squares


@dataclass(frozen=True, slots=True)
class Parts:
    """Shares of the variance, from 0 to 1; all of them and the rest make 1."""

    singles: tuple[float, ...]  # one a setting
    pairs: dict[Pair, float]  # of two settings together, beyond what each explains alone


@dataclass(frozen=True, slots=True)
class Tree:
    """Boxes that fill the space, and the mean score in each."""

    low: Whole  # [leaves, settings], the first step inside
    high: Whole  # [leaves, settings], the last step inside
    value: Floats  # [leaves]


def split_variance(
    steps: Whole, counts: Sequence[int], scores: Floats, *, trees: int, seed: int
) -> Parts:
    """Average the shares over `trees` trees, each grown on as many rows as there are, redrawn.

    `steps` [rows, settings] are whole numbers from 0 to `counts` of the setting; every step weighs
    the same. A tree whose rows have equal scores is left out, as it has no variance to share.
    """
    import numpy as np

    draw = np.random.default_rng(seed)
    found = []
    for _ in range(trees):
        rows = draw.integers(len(scores), size=len(scores))
        tree = grow(steps[rows], counts, scores[rows])
        if len(tree.value) > 1:
            found.append(decompose(tree, counts))
    settings = range(len(counts))
    if not found:
        return Parts(tuple(0.0 for _ in settings), {})
    return Parts(
        tuple(sum(parts.singles[i] for parts in found) / len(found) for i in settings),
        {
            pair: sum(parts.pairs[pair] for parts in found) / len(found)
            for pair in combinations(settings, 2)
        },
    )


def without_pairs(steps: Whole, counts: Sequence[int], scores: Floats, *, seed: int) -> Floats:
    """Keep what settings explain one by one, and shuffle the rest among the rows.

    So the scores look as if no two settings worked together, with as much noise as before at least
    (Freedman and Lane 1983). Trees find pairs in them too: those that chance makes.
    """
    import numpy as np

    marks = np.hstack([steps[:, [i]] == np.arange(n) for i, n in enumerate(counts)]).astype(float)
    fit, _, rank, _ = np.linalg.lstsq(marks, scores, rcond=None)
    alone = marks @ fit
    # A fit to few rows takes part of the noise with it.
    spread = (len(scores) / max(1, len(scores) - rank)) ** 0.5
    draw = np.random.default_rng(seed)
    mixed: Floats = alone + spread * draw.permutation(scores - alone)
    return mixed


def grow(steps: Whole, counts: Sequence[int], scores: Floats) -> Tree:
    """Grow a tree until rows of one leaf agree in all steps or in their score.

    Each box is cut where the squares around the two means fall most; of equal cuts the first.
    At least one setting has more than one step.
    """
    import numpy as np

    settings, most = len(counts), max(counts)
    low = np.zeros((1, settings), dtype=np.int64)
    high = np.array([counts], dtype=np.int64) - 1
    values: list[Floats] = []
    boxes: list[tuple[Whole, Whole]] = []
    scores = scores - scores.mean()  # sums of squares lose fewer digits
    rows, box = np.arange(len(scores)), np.zeros(len(scores), dtype=np.int64)
    while len(low):
        # Histograms of every box: [boxes, settings, steps].
        place = (box[:, None] * settings + np.arange(settings)) * most + steps[rows]
        size = len(low) * settings * most
        shape = (len(low), settings, most)
        number: Whole = np.bincount(place.ravel(), minlength=size).reshape(shape)
        weights = np.repeat(scores[rows], settings)
        sums = np.bincount(place.ravel(), weights, minlength=size)
        total: Floats = np.asarray(sums, dtype=np.float64).reshape(shape)
        setting, after, cut = _best_cuts(number, total, scores[rows], box)
        boxes.append((low[~cut], high[~cut]))
        values.append(total[~cut, 0].sum(axis=1) / number[~cut, 0].sum(axis=1))
        low, high, rows, box = _cut(low, high, steps, rows, box, cut=cut, at=(setting, after))
    low, high = (np.concatenate(side) for side in zip(*boxes, strict=True))
    return Tree(low, high, np.concatenate(values))


def _best_cuts(
    number: Whole, total: Floats, own: Floats, box: Whole
) -> tuple[Whole, Whole, NDArray[np.bool_]]:
    """Find for every box the setting, the step after which to cut, and whether to cut at all."""
    import numpy as np

    left, left_sum = number.cumsum(axis=2)[..., :-1], total.cumsum(axis=2)[..., :-1]
    all_, all_sum = number.sum(axis=2)[..., None], total.sum(axis=2)[..., None]
    right, right_sum = all_ - left, all_sum - left_sum
    possible = (left > 0) & (right > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = left_sum**2 / left + right_sum**2 / right
    flat = np.where(possible, gain, -1.0).reshape(len(number), -1)
    best = flat.argmax(axis=1)
    setting, after = np.divmod(best, number.shape[2] - 1)
    # Between two steps that have rows the cut lies in the middle.
    filled = np.take_along_axis(number, setting[:, None, None], axis=1)[:, 0] > 0
    beyond = ((np.arange(number.shape[2]) > after[:, None]) & filled).argmax(axis=1)
    # A box whose rows agree in their score, but for rounding, is a leaf. A cut that gains nothing
    # is made: where two settings matter together alone, the next cut gains all the more.
    squares = np.bincount(box, own**2)
    mixed = squares - all_sum[:, 0, 0] ** 2 / all_[:, 0, 0] > ROUNDING * squares
    cut = possible.reshape(len(number), -1).any(axis=1) & mixed
    return setting, np.where(cut, (after + beyond - 1) // 2, 0), cut


def _cut(
    low: Whole,
    high: Whole,
    steps: Whole,
    rows: Whole,
    box: Whole,
    *,
    cut: NDArray[np.bool_],
    at: tuple[Whole, Whole],
) -> tuple[Whole, Whole, Whole, Whole]:
    """Cut boxes in two; rows of the others are done."""
    import numpy as np

    setting, after = at
    which = np.flatnonzero(cut)
    both = np.arange(len(which))
    new_low, new_high = np.repeat(low[which], 2, axis=0), np.repeat(high[which], 2, axis=0)
    new_high[2 * both, setting[which]] = after[which]
    new_low[2 * both + 1, setting[which]] = after[which] + 1
    going = cut[box]
    rows, box = rows[going], box[going]
    place = np.zeros(len(low), dtype=np.int64)
    place[which] = both
    right = steps[rows, setting[box]] > after[box]
    return new_low, new_high, rows, 2 * place[box] + right


def decompose(tree: Tree, counts: Sequence[int]) -> Parts:
    """Split the variance of a tree over its whole space, where every step weighs the same."""
    import numpy as np

    settings = range(len(counts))
    width = (tree.high - tree.low + 1) / np.array(counts)  # [leaves, settings]
    volume = width.prod(axis=1)
    mean = float(volume @ tree.value)
    centred = tree.value - mean
    whole = float(volume @ centred**2)
    # Where each leaf lies along each setting: [leaves, steps].
    inside = [
        (np.arange(counts[i]) >= tree.low[:, [i]]) & (np.arange(counts[i]) <= tree.high[:, [i]])
        for i in settings
    ]
    weight = centred * volume
    singles = [float(np.mean(((weight / width[:, i]) @ inside[i]) ** 2)) / whole for i in settings]
    pairs = {}
    for i, j in combinations(settings, 2):
        surface = (inside[i].T * (weight / (width[:, i] * width[:, j]))) @ inside[j]
        pairs[i, j] = float(np.mean(surface**2)) / whole - singles[i] - singles[j]
    return Parts(tuple(singles), {pair: max(0.0, share) for pair, share in pairs.items()})
