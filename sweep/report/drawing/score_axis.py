"""Lay scores along an axis, the same way in every figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from sweep.report.drawing.scale import score_is_log, score_ticks
from sweep.report.formats import show_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARGIN = 0.06  # of the range, on both sides


def score_axis(
    axes: Axes, scores: Sequence[float], *, which: Literal["x", "y"] = "y", low: float | None = None
) -> None:
    """Scale one axis to `scores`, on a log scale where they span a wide range."""
    log = score_is_log(scores)
    first, last = (min(scores) if low is None else low), max(scores)
    if log:
        room = (last / first) ** MARGIN
        limits = (first / room, last * room)
    else:
        room = (last - first) * MARGIN or abs(last) * MARGIN or 1.0
        limits = (first - room, last + room)
    if which == "y":
        axes.set_yscale("log" if log else "linear")
        axes.set_ylim(*limits)
    else:
        axes.set_xscale("log" if log else "linear")
        axes.set_xlim(*limits)
    axis = axes.yaxis if which == "y" else axes.xaxis
    ticks = score_ticks(*limits, log=log)
    axis.set_ticks(ticks, labels=[show_value(float(f"{tick:.4g}")) for tick in ticks])
    axis.set_ticks([], minor=True)
