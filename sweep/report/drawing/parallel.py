"""Draw every configuration as a line across its settings and its score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.plan.trial import State, Value
from sweep.report.drawing.canvas import FONT, PAGE, panel
from sweep.report.drawing.colors import BEST, FAILED, INFEASIBLE, INK, RANKS
from sweep.report.drawing.scale import Scale, score_scale, setting_scale, thinned
from sweep.report.isolation import has_effect
from sweep.report.leaderboard import Configuration, Leaderboard
from sweep.report.table import ANY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 1000  # lines; of more, one in so many is drawn, the winner always
MOST_LOST = 300
SPREAD = 0.025  # of an axis: lines of one value side by side, by rank, so that they can be counted
GAP = 0.15  # of an axis that lies: room for a tick's text
BELOW, ABOVE = -0.13, 1.13  # where what has no place on an axis goes through

NO_EDGES = (0.0, 0.0, 0.0, 0.0)

Point = tuple[float, float]  # axis, and the place on it from 0 to 1


@dataclass(frozen=True, slots=True)
class Rail:
    """One axis of the figure."""

    title: str
    ticks: Sequence[tuple[float, str]]


def parallel_coordinates(board: Leaderboard, *, stacked: bool = False) -> str:
    """Draw the figure as SVG: axes side by side, or one below the other for a narrow page."""
    rails, lines = _layout(board)
    last = len(rails) - 1
    size = (3.6, 0.8 * (last + 1) + 0.3) if stacked else (PAGE, 3.9)

    def draw(axes: Axes) -> None:
        axes.axis("off")
        _draw_lines(axes, lines, stacked=stacked)
        for number, rail in enumerate(rails):
            _draw_rail(axes, number, rail, stacked=stacked)
        ends = (-0.08 * (last + 1), last * 1.03 + 0.05)
        across = (BELOW - 0.04, ABOVE + (0.1 if stacked else 0.04))
        axes.set_xlim(*(across if stacked else ends))
        axes.set_ylim(*((last + 0.35, -0.4) if stacked else (across[0], across[1] + 0.1)))

    return panel(
        draw,
        title=f"Parallel coordinates of {len(lines)} configurations",
        size=size,
        edges=NO_EDGES,
    )


def one_in(board: Leaderboard) -> int:
    """Tell of how many ranked configurations one is drawn."""
    return max(1, math.ceil(len(board.ranked) / MOST))


@dataclass(frozen=True, slots=True)
class Line:
    """One configuration's way through the axes."""

    points: Sequence[Point]
    share: float | None  # of the way from the last rank to the first; None: no score
    state: State = State.COMPLETED


def _layout(board: Leaderboard) -> tuple[list[Rail], list[Line]]:
    scales = {key: setting_scale(key, values) for key, values in board.varied.items()}
    scores = [item.mean for item in board.ranked if item.mean is not None]
    scale = score_scale(scores)
    lost = _lost(board)
    total = len(board.ranked)
    every = one_in(board)
    lines = [
        Line(_points(item, scales, board, ABOVE, share=0.0), None, state) for item, state in lost
    ]
    for rank in range(((total - 1) // every) * every, -1, -every):
        item = board.ranked[rank]
        share = 1 - rank / max(total - 1, 1)
        lines.append(Line(_points(item, scales, board, scale.place(item.mean), share=share), share))
    rails = [
        Rail(board.names[key], [*scales[key].ticks, *_without_effect(key, board)])
        for key in board.varied
    ]
    rails.append(Rail(board.objective, [*scale.ticks, *([(ABOVE, "no score")] if lost else [])]))
    return rails, lines


def _without_effect(key: str, board: Leaderboard) -> list[tuple[float, str]]:
    drawn = [*board.ranked, *board.unranked]
    return [] if all(has_effect(key, item, board) for item in drawn) else [(BELOW, ANY)]


def _lost(board: Leaderboard) -> list[tuple[Configuration, State]]:
    found = []
    for item in board.unranked[:MOST_LOST]:
        for state in (State.INFEASIBLE, State.FAILED):
            if item.states.get(state):
                found.append((item, state))
                break
    return found


def _points(
    item: Configuration, scales: dict[str, Scale], board: Leaderboard, end: float, *, share: float
) -> list[Point]:
    aside = SPREAD * (2 * share - 1)
    points = [
        (float(i), aside + (_place(key, item, scales, board))) for i, key in enumerate(board.varied)
    ]
    return [*points, (float(len(points)), end)]


def _place(key: str, item: Configuration, scales: dict[str, Scale], board: Leaderboard) -> float:
    own: Value = item.values[key][0]
    return scales[key].place(own) if has_effect(key, item, board) else BELOW


def _draw_lines(axes: Axes, lines: Sequence[Line], *, stacked: bool) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.colors import LinearSegmentedColormap

    shade = LinearSegmentedColormap.from_list("ranks", RANKS)
    width = 0.5 if len(lines) > 500 else 0.8 if len(lines) > 150 else 1.2
    ways = [[(y, x) if stacked else (x, y) for x, y in line.points] for line in lines]
    colors = [
        shade(line.share)
        if line.share is not None
        else INFEASIBLE
        if line.state is State.INFEASIBLE
        else FAILED
        for line in lines
    ]
    axes.add_collection(
        LineCollection(ways, colors=colors, linewidths=width, alpha=0.8),
        autolim=False,
    )
    if lines[-1].share is not None:
        axes.plot(*zip(*ways[-1], strict=True), color=BEST, linewidth=2.6, solid_joinstyle="round")


def _draw_rail(axes: Axes, number: int, rail: Rail, *, stacked: bool) -> None:
    ends = [number, number], [-0.04, 1.04]
    axes.plot(*(ends[::-1] if stacked else ends), color=INK, linewidth=0.9, zorder=3)
    for place, text in thinned(rail.ticks, gap=GAP if stacked else 0.0):
        if stacked:
            mark = [place, place], [number, number + 0.06]
            _write(axes, text, (place, number), (0, -4), across="center", along="top")
        else:
            mark = [number - 0.03, number], [place, place]
            _write(axes, text, (number, place), (-5, 0), across="right", along="center")
        axes.plot(*mark, color=INK, linewidth=0.9, zorder=3)
    at = (BELOW - 0.02, float(number)) if stacked else (float(number), ABOVE + 0.03)
    across = "left" if stacked else "center"
    _write(axes, rail.title, at, (0, 4), across=across, along="bottom", weight="bold")


def _write(
    axes: Axes,
    text: str,
    at: tuple[float, float],
    aside: tuple[float, float],  # points
    *,
    across: str,
    along: str,
    weight: str = "normal",
) -> None:
    axes.annotate(
        text,
        at,
        aside,
        textcoords="offset points",
        ha=across,
        va=along,
        fontsize=FONT,
        fontweight=weight,
        bbox=PAPER,
        zorder=4,
    )


PAPER = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
