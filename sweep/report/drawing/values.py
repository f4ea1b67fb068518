"""Draw what each value of a setting reached, over all the other settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.report.drawing.canvas import FONT, MANY, panel
from sweep.report.drawing.colors import BEST, INFEASIBLE, INK, TRIED
from sweep.report.drawing.scale import setting_scale, thinned
from sweep.report.drawing.score_axis import score_axis
from sweep.report.isolation import Isolated, has_effect
from sweep.report.leaderboard import Leaderboard
from sweep.report.varied import hashable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPREAD = 0.02  # of the axis: configurations of one value side by side, by rank
SIZE = (3.6, 2.2)
EDGES = (0.74, 0.3, 0.12, 0.24)  # no title below; above, counts of divergences
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
    scores = [item.mean for item in board.ranked if item.mean is not None]
    dots: list[tuple[float, float]] = []
    for rank, item in enumerate(board.ranked):
        if item.mean is not None and has_effect(key, item, board):
            aside = SPREAD * (2 * rank / max(len(board.ranked) - 1, 1) - 1)
            dots += [(scale.place(value) + aside, item.mean) for value in item.values[key]]
    winner = board.best and has_effect(key, board.best, board) and board.best.values[key]
    chosen = {hashable(value) for value in winner or ()}

    def draw(axes: Axes) -> None:
        axes.scatter(
            *zip(*dots, strict=True), s=9, color=TRIED, alpha=0.35, linewidths=0,
            rasterized=len(dots) > MANY,
        )
        told = [(scale.place(row.value), row) for row in rows if row.best is not None]
        x, best = [x for x, _ in told], [row.best for _, row in told]
        line = "-" if scale.ordered else "none"
        axes.plot(x, best, linestyle=line, marker="o", markersize=5, color=TRIED)
        axes.scatter(x, [row.median for _, row in told], s=110, marker="_", color=INK, zorder=3)
        won = [(x, row.best) for x, row in told if hashable(row.value) in chosen]
        if won:
            axes.plot(*zip(*won, strict=True), "o", color=BEST, markersize=7)
        score_axis(axes, scores)
        ticks = thinned(scale.ticks, gap=GAP)
        axes.set_xticks([place for place, _ in ticks], labels=[text for _, text in ticks])
        axes.set_xlim(-0.1, 1.1)
        axes.grid(visible=False, axis="x")
        for row in rows:
            if row.infeasible:
                axes.annotate(
                    f"{row.infeasible}×", (scale.place(row.value), 1.0),
                    xycoords=("data", "axes fraction"), ha="center", va="bottom",
                    color=INFEASIBLE, fontsize=FONT, fontweight="bold",
                )
        axes.set_ylabel(board.objective)

    title = f"{board.objective} per value of {board.names[key]}"
    return panel(draw, title=title, size=SIZE, edges=EDGES)
