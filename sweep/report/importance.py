"""Estimate how much of the spread of the objective each varied setting explains."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from sweep.plan.trial import Value
from sweep.report.formats import count
from sweep.report.isolation import has_effect
from sweep.report.leaderboard import Configuration, Leaderboard
from sweep.report.spacing import is_log
from sweep.report.varied import hashable, is_number
from sweep.report.warnings import TRIALS_PER_SETTING

LEAST = 8  # configurations, however few settings vary
MOST = 250  # configurations read, drawn at random: a forest's time grows faster than they do
FORESTS = 4  # with seeds of their own; their disagreement is the estimate's noise
TREES = 12
STEPS = 16  # a setting with more values than this is a range, and read in as many parts

NEEDS = ("optuna", "sklearn")
EXTRA = "pip install 'hydra-kubernetes-sweep[report]'"

Row = tuple[Mapping[str, Value], float]  # the settings that have an effect, and the mean objective


@dataclass(frozen=True, slots=True)
class Share:
    """How much of the objective's variance a setting explains by itself, from 0 to 1."""

    key: str
    mean: float  # over the forests
    sd: float
    among: int  # configurations that have the setting


@dataclass(frozen=True, slots=True)
class Importance:
    """What is known of which settings matter; no shares where that cannot be told."""

    shares: tuple[Share, ...] = ()  # the largest first
    interplay: float | None = None  # what no setting explains alone: interactions, and noise
    notes: tuple[str, ...] = ()


def find_importance(board: Leaderboard) -> Importance:
    """Estimate the importance of every varied setting from the ranked configurations."""
    absent = _absent(board)
    rows = [_row(item, board, absent) for item in board.ranked]
    return importance(rows, names=board.names)


def importance(rows: Sequence[Row], *, names: Mapping[str, str]) -> Importance:
    """Estimate importance by functional ANOVA on random forests (Hutter 2014, in Optuna).

    A setting that some rows lack is judged among the rows that have it. Every value of a grid
    weighs the same, and so does every part of a range. Where rows are too few, or Optuna is absent,
    the notes say so.
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
    if any(find_spec(module) is None for module in NEEDS):
        return Importance(notes=(f"Not estimated: Optuna is not installed; {EXTRA} adds it.",))
    shares = _estimate(rows, whole)
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
        notes.append("Settings were varied one at a time: interactions cannot be told.")
    return Importance(
        shares=tuple(sorted(shares, key=lambda share: -share.mean)),
        interplay=None if one_at_a_time or len(whole) < 2 else max(0.0, 1 - alone),
        notes=tuple(notes),
    )


def _row(item: Configuration, board: Leaderboard, absent: Collection[str]) -> Row:
    values = {
        key: own[0]
        for key, own in item.values.items()
        if has_effect(key, item, board) and not (own[0] is None and key in absent)
    }
    assert item.mean is not None
    return values, item.mean


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
    return [share for share in _estimate(rows, beside) if share.key == key]


def _notes(rows: Sequence[Row], shares: Sequence[Share]) -> list[str]:
    if len(rows) <= MOST or not shares:
        return []
    return [f"Estimated from {MOST} of {len(rows):,} configurations, drawn at random."]


def _one_at_a_time(rows: Sequence[Row], keys: Sequence[str]) -> bool:
    """Tell whether every row differs from one and the same row in at most one setting."""
    if len(keys) < 2:
        return False
    tokens = [tuple(hashable(values.get(key)) for key in keys) for values, _ in rows]
    centre = [statistics.mode(column) for column in zip(*tokens, strict=True)]
    return all(sum(a != b for a, b in zip(t, centre, strict=True)) <= 1 for t in tokens)


def _estimate(rows: Sequence[Row], keys: Sequence[str]) -> list[Share]:
    if not keys:
        return []
    among = len(rows)
    if among > MOST:
        rows = random.Random(0).sample(rows, MOST)  # noqa: S311  no secret
    keys = [key for key in keys if _varies(key, rows)]
    axes = {key: _axis([values[key] for values, _ in rows]) for key in keys}
    forests = _grow(axes, [score for _, score in rows])
    return [
        Share(key, statistics.fmean(own), statistics.stdev(own), among)
        for key, own in ((key, [forest[key] for forest in forests]) for key in axes)
    ]


Axis = tuple[list[float], int]  # the step on which each row stands, and how many there are


def _axis(column: Sequence[Value]) -> Axis:
    """Put values on steps that weigh the same: a grid's values, or equal parts of a range."""
    distinct = {hashable(value): value for value in column}
    numbers = all(is_number(value) for value in column)
    if numbers and len(distinct) > STEPS:
        low, log = min(column), is_log(column)
        scaled = [math.log(value / low) if log else value - low for value in column]
        part = max(scaled) / STEPS
        return [float(min(STEPS - 1, place // part)) for place in scaled], STEPS
    order = sorted(distinct) if numbers else list(distinct)
    step = {value: float(i) for i, value in enumerate(order)}
    return [step[hashable(value)] for value in column], len(order)


def _grow(axes: Mapping[str, Axis], scores: Sequence[float]) -> list[dict[str, float]]:
    import optuna

    loudness = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study()
    finally:
        optuna.logging.set_verbosity(loudness)
    ranges: dict[str, optuna.distributions.BaseDistribution] = {
        key: optuna.distributions.FloatDistribution(-0.5, steps - 0.5)
        for key, (_, steps) in axes.items()
    }
    study.add_trials(
        optuna.trial.create_trial(
            params={key: own[i] for key, (own, _) in axes.items()},
            distributions=ranges,
            value=score,
        )
        for i, score in enumerate(scores)
    )
    found = []
    for seed in range(FORESTS):
        grown = optuna.importance.FanovaImportanceEvaluator(n_trees=TREES, seed=seed)
        try:
            shares = grown.evaluate(study)
        except RuntimeError:  # every tree of the forest drew equal scores
            shares = dict.fromkeys(axes, 0.0)
        found.append({key: float(share) for key, share in shares.items()})
    return found
