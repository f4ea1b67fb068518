"""Lay values along the two axes of a figure, and draw what a reader measures by."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sweep.report.drawing.canvas import LETTER, Point, Sheet
from sweep.report.drawing.scale import score_is_log, score_ticks
from sweep.report.formats import show_value

MARGIN = 0.06  # of a range of scores, on both sides


@dataclass(frozen=True, slots=True)
class Axis:
    """Where values stand, from 0 to 1, and the values at which something is written."""

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    log: bool = False
    title: str = ""

    def place(self, value: float) -> float:
        """Place a value."""
        if self.log:
            # Not of quotients: those of the smallest floats overflow.
            start = math.log(self.low)
            return (math.log(value) - start) / (math.log(self.high) - start)
        return (value - self.low) / (self.high - self.low)


def show_rounded(value: float) -> str:
    """Write a value with four digits, as a tick."""
    return show_value(float(f"{value:.4g}"))


def score_axis(
    scores: Sequence[float], *, title: str, show: Callable[[float], str] = show_rounded
) -> Axis:
    """Scale an axis to `scores`, on a log scale where they span a wide range."""
    log, low, high = score_is_log(scores), min(scores), max(scores)
    if log:
        room = math.exp(MARGIN * (math.log(high) - math.log(low)))
        low, high = max(low / room, math.ulp(0.0)), high * room
    else:
        room = (high - low) * MARGIN or abs(high) * MARGIN or 1.0
        low, high = low - room, high + room
    # Scores that differ in their last digits alone have no round number between them.
    ticks = [tick for tick in score_ticks(low, high, log=log) if low <= tick <= high]
    return Axis(low, high, [(tick, show(tick)) for tick in ticks], log, title)


def epoch_axis(epochs: int) -> Axis:
    """Scale an axis to whole epochs, counted from 1."""
    room = 0.03 * epochs
    whole = [tick for tick in score_ticks(1, epochs, log=False) if tick == int(tick)]
    ticks = whole if epochs > 1 and len(whole) > 1 else list(dict.fromkeys((1.0, float(epochs))))
    return Axis(1 - room, epochs + room, [(t, f"{t:.0f}") for t in ticks], title="epoch")


@dataclass(frozen=True, slots=True)
class Frame:
    """The part of a sheet that two axes span; sizes are pixels."""

    sheet: Sheet
    x: Axis
    y: Axis
    left: float = 64.0
    bottom: float = 42.0
    right: float = 10.0
    top: float = 16.0

    def across(self, share: float) -> float:
        """Give the pixel at a share of the horizontal axis."""
        return self.left + share * (self.sheet.width - self.left - self.right)

    def up(self, share: float) -> float:
        """Give the pixel at a share of the vertical axis."""
        return self.top + (1 - share) * (self.sheet.height - self.top - self.bottom)

    def at(self, x: float, y: float) -> Point:
        """Give the pixels of a pair of values."""
        return self.across(self.x.place(x)), self.up(self.y.place(y))

    def draw(self, *, upright: bool = True) -> None:
        """Draw grid, axes, ticks and titles; `upright`: vertical grid lines too."""
        sheet = self.sheet
        (left, right), (bottom, top) = map(self.across, (0, 1)), map(self.up, (0, 1))
        xs = [(self.across(self.x.place(value)), text) for value, text in self.x.ticks]
        ys = [(self.up(self.y.place(value)), text) for value, text in self.y.ticks]
        grid = [[(left, y), (right, y)] for y, _ in ys]
        sheet.lines([*grid, *([(x, bottom), (x, top)] for x, _ in xs if upright)], look="grid")
        ticks = [[(x, bottom), (x, bottom + 4)] for x, _ in xs]
        ticks += [[(left - 4, y), (left, y)] for y, _ in ys]
        sheet.lines([[(left, top), (left, bottom), (right, bottom)], *ticks], look="axis")
        for x, text in _readable(xs, end=sheet.width):
            sheet.text((x, bottom + 16), text, look="middle")
        for y, text in ys:
            sheet.text((left - 7, y + 4), text, look="end")
        if self.x.title:
            sheet.text(((left + right) / 2, bottom + 34), self.x.title, look="middle")
        if self.y.title:
            sheet.text((13, (top + bottom) / 2), self.y.title, look="middle", turned=True)


def _readable(texts: Sequence[tuple[float, str]], *, end: float) -> list[tuple[float, str]]:
    """Leave out what would touch the text before it; the last stays on the sheet, and stays."""
    kept: list[tuple[float, str]] = []
    left = math.inf  # of the text that was kept last
    for x, text in reversed(texts):
        half = len(text) * LETTER / 2
        middle = min(x, end - half)
        if middle + half + 2 * LETTER < left:
            kept.append((middle, text))
            left = middle - half
    return kept[::-1]
