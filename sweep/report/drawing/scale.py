"""Place the values of a setting, or scores, along an axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sweep.plan.trial import Value
from sweep.report.boundary import DECADE
from sweep.report.formats import show_value
from sweep.report.spacing import is_log
from sweep.report.varied import hashable, is_number

FEW = 8  # values that each get their own tick
SCORES_ON_LOG = 3.0  # scores that span this ratio too: the good ones are what is looked at
LETTERS = 14  # of a tick's text


@dataclass(frozen=True, slots=True)
class Scale:
    """Where values stand, from 0 to 1, and what is written there."""

    ticks: Sequence[tuple[float, str]]
    place: Callable[[Value], float]
    ordered: bool  # numbers: a line between two values means something


def setting_scale(key: str, values: Sequence[Value]) -> Scale:
    """Place a setting's values: numbers at their distances, anything else in equal steps."""
    if all(is_number(value) for value in values):
        positive = [value for value in values if value > 0]
        if len(values) <= FEW and min(values) == 0 and positive and is_log(positive):
            return _steps(values, ordered=True)  # a log scale has no zero
        return _numbers(values, log=is_log(values, key=key), each=len(values) <= FEW)
    return _steps(values, ordered=False)


def thinned(ticks: Sequence[tuple[float, str]], *, gap: float) -> list[tuple[float, str]]:
    """Leave out the texts of ticks that would touch; the ends keep theirs."""
    if len(ticks) < 3:
        return list(ticks)
    first, *inner, last = sorted(ticks)
    kept, written = [first], first[0]
    for place, text in inner:
        fits = place - written >= gap and last[0] - place >= gap
        kept.append((place, text if fits else ""))
        written = place if fits else written
    return [*kept, last]


def score_is_log(scores: Sequence[float]) -> bool:
    """Tell whether scores are read on a log scale."""
    return bool(scores) and min(scores) > 0 and max(scores) / min(scores) >= SCORES_ON_LOG


def score_scale(scores: Sequence[float]) -> Scale:
    """Place scores between the lowest and the highest."""
    return _numbers(scores, log=score_is_log(scores), each=False)


def score_ticks(low: float, high: float, *, log: bool) -> list[float]:
    """Choose round numbers between two scores."""
    if high <= low:
        return [low]
    if log:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        powers = range(first, last + 1, max(1, (last - first) // FEW))
        found = [float(f"{d}e{power}") for power in powers for d in _digits(high / low)]
        return [number for number in found if low <= number <= high]
    step = 10.0 ** math.floor(math.log10((high - low) / 3))
    step *= next((factor for factor in (1, 2, 5) if (high - low) / (step * factor) <= 6), 10)
    first = math.ceil(low / step)
    return [float(f"{i * step:.10g}") for i in range(first, math.floor(high / step) + 1)]


def _digits(ratio: float) -> tuple[float, ...]:
    if ratio > 1e4:
        return (1,)
    return (1, 2, 5) if ratio > DECADE else (1, 1.5, 2, 3, 5, 7)


def _numbers(values: Sequence[float], *, log: bool, each: bool) -> Scale:
    def raw(value: float) -> float:
        return math.log10(value) if log else float(value)

    low, high = raw(min(values)), raw(max(values))
    span = high - low or 1.0

    def place(value: Value) -> float:
        return (raw(value) - low) / span

    shown = list(values) if each else score_ticks(min(values), max(values), log=log)
    shown = shown if len(shown) > 1 else [min(values), max(values)]
    ticks = [(place(value), show_value(float(f"{value:.5g}"))) for value in shown]
    return Scale(ticks, place, ordered=True)


def _steps(values: Sequence[Value], *, ordered: bool) -> Scale:
    last = max(len(values) - 1, 1)
    where: Mapping[Value, float] = {hashable(v): i / last for i, v in enumerate(values)}
    every = math.ceil(len(values) / 20)
    ticks = [
        (i / last, _short(show_value(value))) for i, value in enumerate(values) if i % every == 0
    ]
    return Scale(ticks, lambda value: where[hashable(value)], ordered)


def _short(text: str) -> str:
    return text if len(text) <= LETTERS else text[: LETTERS - 1] + "…"
