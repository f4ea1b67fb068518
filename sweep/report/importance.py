"""Estimate how much of the spread of the objective each varied setting explains."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import combinations

from sweep.plan.trial import Record, Value
from sweep.report.equal_epochs import Level, level
from sweep.report.fanova import split_variance, without_pairs
from sweep.report.formats import count
from sweep.report.isolation import has_effect
from sweep.report.leaderboard import Configuration, Leaderboard
from sweep.report.spacing import is_log
from sweep.report.varied import hashable, is_number
from sweep.report.warnings import TRIALS_PER_SETTING

LEAST = 8  # configurations, however few settings vary
MOST = 1000  # configurations read, drawn at random: a forest's time grows faster than they do
FORESTS = 4  # with seeds of their own; their disagreement is the estimate's noise
TREES = 12
STEPS = 16  # a setting with more values than this is a range, and read in as many parts
PAIRS = 5  # told one by one; the others are summed up
LEAST_PAIR = 0.02  # a pair that explains less is none to speak of
LEAST_UNCLEAR = 0.05  # the same, of a pair that chance may have made
CHANCES = 5  # forests on shuffled scores, which tell what chance makes of a pair

# Strategies whose trials cover the space, whatever came out; others look where results are good.
EVEN = ("grid", "random", "sobol", "halving", "hyperband")

Row = tuple[Mapping[str, Value], float]  # the settings that have an effect, and the mean objective


@dataclass(frozen=True, slots=True)
class Share:
    """How much of the objective's variance a setting explains by itself, from 0 to 1."""

    key: str
    mean: float  # over the forests
    sd: float
    among: int  # configurations that have the setting


@dataclass(frozen=True, slots=True)
class PairShare:
    """How much two settings explain together, beyond what each does by itself."""

    keys: tuple[str, str]
    mean: float
    sd: float
    clear: bool = True  # more than chance makes of two settings that do not work together


@dataclass(frozen=True, slots=True)
class Importance:
    """What is known of which settings matter; no shares where that cannot be told."""

    shares: tuple[Share, ...] = ()  # the largest first
    pairs: tuple[PairShare, ...] = ()  # the largest first, none of no account
    rest: float | None = None  # other pairs, three or more settings together, and noise
    exploratory: bool = False  # the trials do not cover the space evenly
    notes: tuple[str, ...] = ()


def find_importance(
    board: Leaderboard, *, records: Mapping[int, Record] | None = None, strategy: str = "grid"
) -> Importance:
    """Estimate the importance of every varied setting.

    Trials that were stopped before others are compared at the last epoch that all reached.
    `strategy` is the one that chose the trials.
    """
    absent = _absent(board)
    reached = level(board, records=records or {})
    rows = [(_values(item, board, absent), score) for item, score in reached.scores]
    found = importance(rows, names=board.names)
    exploratory = bool(found.shares) and strategy not in EVEN
    notes = [*_design_notes(strategy, exploratory=exploratory), *_level_notes(reached, board)]
    return replace(found, exploratory=exploratory, notes=(*notes, *found.notes))


def importance(rows: Sequence[Row], *, names: Mapping[str, str]) -> Importance:
    """Estimate importance by functional ANOVA on random forests (Hutter 2014).

    A setting that some rows lack is judged among the rows that have it, by itself. Every value of a
    grid weighs the same, and so does every part of a range. Where rows are too few, or NumPy is
    absent, the notes say so.
    """
    keys = [key for key in names if _varies(key, rows)]
    whole = [key for key in keys if all(key in values for values, _ in rows)]
    if not keys:
        return Importance(notes=("No setting varies among the configurations that completed.",))
    if len(rows) < (needed := _needed(keys)):
        have = f"{count(len(rows), 'configuration')} for {count(len(keys), 'varied setting')}"
        return Importance(notes=(f"Too few trials: {have}, {needed} are needed.",))
    if len({score for _, score in rows}) == 1:
        return Importance(notes=("Every configuration came to the same: nothing matters here.",))
    if find_spec("numpy") is None:
        return Importance(notes=("Not estimated: NumPy is not installed; pip install numpy.",))
    shares, pairs, chance = _estimate(rows, whole)
    alone = sum(share.mean for share in shares)
    notes = _notes(rows, shares)
    for key in keys:
        if key not in whole:
            own = [row for row in rows if key in row[0]]
            found = _conditional(key, own, keys)
            shares += found
            if not found:
                notes.append(f"{names[key]}: too few configurations have it ({len(own)}).")
    one_at_a_time = _one_at_a_time(rows, keys)
    if one_at_a_time:
        notes.append(ONE_AT_A_TIME)
    told = [] if one_at_a_time else _told(pairs, chance)
    together = sum(pair.mean for pair in told)
    return Importance(
        shares=tuple(sorted(shares, key=lambda share: -share.mean)),
        pairs=tuple(told),
        rest=None if one_at_a_time or len(whole) < 2 else max(0.0, 1 - alone - together),
        notes=tuple(notes),
    )


ONE_AT_A_TIME = (
    "Settings were varied one at a time: interactions cannot be told, and each share holds only "
    "where the others stood. A crossed design (a grid, or hydra.sweeper.strategy=sobol) tells."
)


def _design_notes(strategy: str, *, exploratory: bool) -> list[str]:
    if not exploratory:
        return []
    why = f"{strategy} chose these trials by earlier results, so good regions are looked at more"
    return [f"Exploratory: {why} closely than others. A grid, random or Sobol design would tell."]


def _level_notes(reached: Level, board: Leaderboard) -> list[str]:
    if reached.epoch is None:
        return []
    which = f"the last that all {count(len(reached.scores), 'configuration')} reached"
    stopped = f"{reached.stopped:,} of them were stopped at a rung"
    return [f"By {board.objective} at epoch {reached.epoch}, {which}: {stopped}."]


def _values(
    item: Configuration, board: Leaderboard, absent: Collection[str]
) -> Mapping[str, Value]:
    """Give the settings that have an effect."""
    return {
        key: own[0]
        for key, own in item.values.items()
        if has_effect(key, item, board) and not (own[0] is None and key in absent)
    }


def _told(pairs: Sequence[PairShare], chance: float) -> list[PairShare]:
    judged = (replace(pair, clear=pair.mean > chance) for pair in pairs)
    least = {True: LEAST_PAIR, False: LEAST_UNCLEAR}
    return [pair for pair in judged if pair.mean >= least[pair.clear]][:PAIRS]


def _needed(keys: Sequence[str]) -> int:
    return max(LEAST, TRIALS_PER_SETTING * len(keys))


def _varies(key: str, rows: Sequence[Row]) -> bool:
    return len({hashable(values[key]) for values, _ in rows if key in values}) > 1


def _absent(board: Leaderboard) -> set[str]:
    """Name the settings that are None exactly where a choice has no such setting.

    Any other None is a value like others: 'switched off'.
    """
    choices = [k for k, own in board.varied.items() if all(isinstance(v, str) for v in own)]
    return {
        key
        for key, own in board.varied.items()
        if None in own and any(_decides(choice, key, board) for choice in choices if choice != key)
    }


def _decides(choice: str, key: str, board: Leaderboard) -> bool:
    seen: dict[Value, set[bool]] = {}
    for item in [*board.ranked, *board.unranked]:
        for value in item.values[choice]:
            seen.setdefault(value, set()).update(own is None for own in item.values[key])
    return all(len(answers) == 1 for answers in seen.values())


def _conditional(key: str, rows: Sequence[Row], keys: Sequence[str]) -> list[Share]:
    """Judge a setting among the rows that have it, beside the settings that they all have."""
    beside = [k for k in keys if all(k in values for values, _ in rows) and _varies(k, rows)]
    if len(rows) < _needed(beside) or len({score for _, score in rows}) == 1:
        return []
    shares, _, _ = _estimate(rows, beside)
    return [share for share in shares if share.key == key]


def _notes(rows: Sequence[Row], shares: Sequence[Share]) -> list[str]:
    if len(rows) <= MOST or not shares:
        return []
    return [f"Estimated from {MOST:,} of {len(rows):,} configurations, drawn at random."]


def _one_at_a_time(rows: Sequence[Row], keys: Sequence[str]) -> bool:
    """Tell whether every row differs from one and the same row in at most one setting."""
    if len(keys) < 2:
        return False
    tokens = [tuple(hashable(values.get(key)) for key in keys) for values, _ in rows]
    centre = [statistics.mode(column) for column in zip(*tokens, strict=True)]
    return all(sum(a != b for a, b in zip(t, centre, strict=True)) <= 1 for t in tokens)


def _estimate(
    rows: Sequence[Row], keys: Sequence[str]
) -> tuple[list[Share], list[PairShare], float]:
    """Average over forests: shares, pairs from the largest on, and what chance makes of a pair.

    The last is the mean of the largest pair in shuffled scores, and two deviations more.
    """
    import numpy as np

    among = len(rows)
    if among > MOST:
        rows = random.Random(0).sample(rows, MOST)  # noqa: S311  no secret
    keys = [key for key in keys if _varies(key, rows)]
    if not keys:
        return [], [], 0.0
    axes = [_axis([values[key] for values, _ in rows]) for key in keys]
    steps = np.array([places for places, _ in axes]).T
    counts, scores = [number for _, number in axes], np.array([score for _, score in rows])
    forests = [
        split_variance(steps, counts, scores, trees=TREES, seed=seed) for seed in range(FORESTS)
    ]
    shares = [
        Share(key, *_mean_and_sd([forest.singles[i] for forest in forests]), among)
        for i, key in enumerate(keys)
    ]
    pairs = [
        PairShare((keys[i], keys[j]), *_mean_and_sd([f.pairs.get((i, j), 0.0) for f in forests]))
        for i, j in combinations(range(len(keys)), 2)
    ]
    pairs.sort(key=lambda pair: -pair.mean)
    mixed = [without_pairs(steps, counts, scores, seed=seed) for seed in range(CHANCES)]
    chance = [split_variance(steps, counts, own, trees=TREES, seed=0).pairs for own in mixed]
    largest = [max(own.values(), default=0.0) for own in chance]
    return shares, pairs, statistics.fmean(largest) + 2 * statistics.stdev(largest)


def _mean_and_sd(numbers: Sequence[float]) -> tuple[float, float]:
    return statistics.fmean(numbers), statistics.stdev(numbers)


Axis = tuple[list[int], int]  # the step on which each row stands, and how many there are


def _axis(column: Sequence[Value]) -> Axis:
    """Put values on steps that weigh the same: a grid's values, or equal parts of a range."""
    distinct = {hashable(value): value for value in column}
    numbers = all(is_number(value) for value in column)
    if numbers and len(distinct) > STEPS:
        low, log = min(column), is_log(column)
        scaled = [math.log(value / low) if log else value - low for value in column]
        part = max(scaled) / STEPS
        return [min(STEPS - 1, int(place // part)) for place in scaled], STEPS
    order = sorted(distinct) if numbers else list(distinct)
    step = {value: i for i, value in enumerate(order)}
    return [step[hashable(value)] for value in column], len(order)
