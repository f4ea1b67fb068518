"""Draw what a backtest came to: scores as time goes on, and the error ahead."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.report.drawing.axes import Axis, Frame, score_axis
from sweep.report.drawing.canvas import PANEL, Point, Sheet
from sweep.report.drawing.scale import score_ticks
from sweep.report.formats import count, show_score
from sweep.report.rolled import NETWORK, Rolled

HEIGHT = 220.0
LABEL = 16.0  # pixels that a name needs above its line


def scores_by_origin(rolled: Rolled) -> str:
    """Draw the network's score at each origin, and the baselines' as lines beside it."""
    known = [value for own in rolled.scores.values() for value in own if value is not None]
    if not known:
        return ""
    across = _whole_axis(rolled.known, title="rows known")
    frame = Frame(Sheet(PANEL, HEIGHT), across, score_axis(known, title=rolled.metric))
    frame.draw()
    lines = {name: _points(frame, rolled.known, own) for name, own in rolled.scores.items()}
    baselines = {name: points for name, points in lines.items() if name != NETWORK and points}
    frame.sheet.lines(baselines.values(), look="baseline dashed")
    frame.sheet.lines([lines.get(NETWORK, [])], look="best line")
    for rows, value in zip(rolled.known, rolled.scores.get(NETWORK, ()), strict=False):
        if value is not None:
            hint = f"after {rows:,} rows: {show_score(value, places=4)}"
            frame.sheet.dot(frame.at(rows, value), radius=4, look="best", hint=hint)
    ends = [points[-1] for points in lines.values() if points]
    for name, points in baselines.items():
        x, y = points[-1]
        crowded = any(0 < y - other < LABEL for _, other in ends)
        at = (x, y + LABEL if crowded else y - 5)
        frame.sheet.text(at, name, look="end baseline on-lines")
    return frame.sheet.svg(f"{rolled.metric} at {count(len(rolled.known), 'origin')}")


def error_by_step(rolled: Rolled) -> str:
    """Draw the network's mean squared error at each step ahead; empty where none is known."""
    if not rolled.by_step:
        return ""
    steps = range(1, len(rolled.by_step) + 1)
    across = _whole_axis([1, len(rolled.by_step)], title="steps ahead")
    frame = Frame(Sheet(PANEL, HEIGHT), across, score_axis(rolled.by_step, title="mse"))
    frame.draw()
    points = [frame.at(step, value) for step, value in zip(steps, rolled.by_step, strict=True)]
    frame.sheet.lines([points], look="best line")
    if len(points) == 1:
        frame.sheet.dots(points, look="best")
    return frame.sheet.svg(f"Mean squared error at each of {count(len(points), 'step')} ahead")


def _points(frame: Frame, xs: Sequence[int], own: Sequence[float | None]) -> list[Point]:
    pairs = zip(xs, own, strict=False)
    return [frame.at(x, value) for x, value in pairs if value is not None]


def _whole_axis(values: Sequence[int], *, title: str) -> Axis:
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or 1.0
    whole = [tick for tick in score_ticks(low, high, log=False) if tick == int(tick)]
    ticks = whole if len(whole) > 1 else [float(value) for value in dict.fromkeys((low, high))]
    return Axis(low - room, high + room, [(tick, f"{tick:,.0f}") for tick in ticks], title=title)
