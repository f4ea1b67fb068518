"""Draw what a configuration cost against what it reached."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sweep.plan.trial import Record, State
from sweep.report.baselines import Baseline
from sweep.report.drawing.canvas import FONT, MANY, PAGE, panel
from sweep.report.drawing.colors import BASELINE, BEST, TRIED
from sweep.report.drawing.score_axis import score_axis
from sweep.report.leaderboard import Configuration, Leaderboard, cost

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Point = tuple[float, float, int]  # CPU seconds, score, rank

SIZE = (PAGE, 3.4)
NARROW = (3.6, 2.9)
NEAR = 0.04  # of an axis
LABELS = 6  # points of the front that are named by their rank


def cost_against_quality(
    board: Leaderboard,
    *,
    records: Mapping[int, Record],
    baselines: Sequence[Baseline] = (),
    narrow: bool = False,
) -> str:
    """Draw CPU seconds a trial against the objective; empty where no cost was recorded."""
    spent = [_seconds(item, records) for item in board.ranked]
    points = [
        (seconds, item.mean, rank)
        for rank, (item, seconds) in enumerate(zip(board.ranked, spent, strict=True), start=1)
        if seconds and item.mean is not None
    ]
    if not points:
        return ""
    best_first = sorted(points, key=lambda p: (p[0], cost(p[1], board.direction)))
    front: list[Point] = []
    for point in best_first:
        if not front or cost(point[1], board.direction) < cost(front[-1][1], board.direction):
            front.append(point)

    def draw(axes: Axes) -> None:
        x, y, _ = zip(*points, strict=True)
        axes.scatter(
            x, y, s=14, color=TRIED, alpha=0.4, linewidths=0, rasterized=len(points) > MANY
        )
        axes.step([p[0] for p in front], [p[1] for p in front], where="post", color=TRIED)
        score_axis(axes, [*y, *(item.objective for item in baselines[:1])])
        score_axis(axes, x, which="x")
        for seconds, score, rank in _apart(axes, front)[-LABELS:]:
            axes.plot([seconds], [score], "o", color=BEST if rank == 1 else TRIED, markersize=6)
            axes.annotate(
                str(rank),
                (seconds, score),
                (5, 5),
                textcoords="offset points",
                fontsize=FONT,
                color=BEST if rank == 1 else TRIED,
            )
        for item in baselines[:1]:
            axes.axhline(item.objective, color=BASELINE, linestyle=(0, (5, 2)), linewidth=1.4)
            axes.annotate(
                item.name,
                (1, item.objective),
                (0, 3),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                ha="right",
                va="bottom",
                color=BASELINE,
            )
        axes.set_xlabel("CPU seconds a trial")
        axes.set_ylabel(board.objective)

    title = f"CPU seconds a trial against {board.objective}"
    return panel(draw, title=title, size=NARROW if narrow else SIZE)


def _apart(axes: Axes, front: Sequence[Point]) -> list[Point]:
    """Leave out points whose names would cover that of a better one."""
    kept: list[tuple[Point, float, float]] = []
    for point in reversed(front):
        x, y = axes.transAxes.inverted().transform(axes.transData.transform(point[:2]))
        if all(abs(x - other) > NEAR or abs(y - its) > 2 * NEAR for _, other, its in kept):
            kept.append((point, x, y))
    return [point for point, _, _ in reversed(kept)]


def _seconds(item: Configuration, records: Mapping[int, Record]) -> float:
    own = [
        records[number].cpu_seconds
        for number in item.trials
        if number in records and records[number].state is State.COMPLETED
    ]
    return statistics.fmean(own) if own else 0.0
