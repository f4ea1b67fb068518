"""Draw what each value of a setting reached, over all the other settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.report.drawing.canvas import FONT, MANY, panel
from sweep.report.drawing.colors import BEST, INFEASIBLE, INK, TRIED
from sweep.report.drawing.scale import Scale, setting_scale, thinned
from sweep.report.drawing.score_axis import score_axis
from sweep.report.isolation import Isolated, has_effect
from sweep.report.leaderboard import Leaderboard

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 20  # values that are marked one by one; a setting with more was drawn from a range
SPREAD = 0.02  # of the axis: configurations of one value side by side
GOLDEN = 0.618034  # multiples of it, cut to their fractions, spread evenly and show no pattern
SIZE = (3.6, 2.2)
EDGES = (0.74, 0.3, 0.12, 0.24)  # no title below; above, counts of divergences
TIMES = "\N{MULTIPLICATION SIGN}"
GAP = 0.17  # of the axis that a tick's text needs


@dataclass(frozen=True, slots=True)
class Plot:
    """One setting's figure."""

    key: str
    svg: str


def isolation_plots(rows: Sequence[Isolated], *, board: Leaderboard) -> list[Plot]:
    """Draw a figure for each varied setting; all have the same scale of scores."""
    keys = dict.fromkeys(row.key for row in rows if row.best is not None)
    return [Plot(key, _plot(key, [r for r in rows if r.key == key], board)) for key in keys]


def _plot(key: str, rows: Sequence[Isolated], board: Leaderboard) -> str:
    scale = setting_scale(key, [row.value for row in rows])

    def draw(axes: Axes) -> None:
        _draw_all(axes, key, scale, board)
        if len(rows) <= MOST:
            _draw_values(axes, rows, scale)
            _draw_divergences(axes, rows, scale)
        _draw_winner(axes, key, scale, board)
        score_axis(axes, [item.mean for item in board.ranked if item.mean is not None])
        ticks = thinned(scale.ticks, gap=GAP)
        axes.set_xticks([place for place, _ in ticks], labels=[text for _, text in ticks])
        axes.set_xlim(-0.1, 1.1)
        axes.grid(visible=False, axis="x")
        axes.set_ylabel(board.objective)

    title = f"{board.objective} per value of {board.names[key]}"
    return panel(draw, title=title, size=SIZE, edges=EDGES)


def _draw_all(axes: Axes, key: str, scale: Scale, board: Leaderboard) -> None:
    x, y = [], []
    for rank, item in enumerate(board.ranked):
        if item.mean is not None and has_effect(key, item, board):
            aside = SPREAD * (2 * (rank * GOLDEN % 1) - 1)
            for value in item.values[key]:
                x.append(scale.place(value) + aside)
                y.append(item.mean)
    axes.scatter(x, y, s=9, color=TRIED, alpha=0.35, linewidths=0, rasterized=len(x) > MANY)


def _draw_values(axes: Axes, rows: Sequence[Isolated], scale: Scale) -> None:
    told = [(scale.place(r.value), r.best, r.median) for r in rows if r.best is not None]
    x = [place for place, _, _ in told]
    line = "-" if scale.ordered else "none"
    best = [best for _, best, _ in told]
    axes.plot(x, best, linestyle=line, marker="o", markersize=5, color=TRIED)
    medians = [median for _, _, median in told if median is not None]
    axes.scatter(x, medians, s=110, marker="_", color=INK, zorder=3)


def _draw_winner(axes: Axes, key: str, scale: Scale, board: Leaderboard) -> None:
    best = board.best
    if best is not None and best.mean is not None and has_effect(key, best, board):
        own = [scale.place(value) for value in best.values[key]]
        axes.plot(own, [best.mean] * len(own), "o", color=BEST, markersize=7)


def _draw_divergences(axes: Axes, rows: Sequence[Isolated], scale: Scale) -> None:
    for row in rows:
        if row.infeasible:
            axes.annotate(
                f"{row.infeasible}{TIMES}",
                (scale.place(row.value), 1.0),
                xycoords=("data", "axes fraction"),
                ha="center",
                va="bottom",
                color=INFEASIBLE,
                fontsize=FONT,
                fontweight="bold",
            )
