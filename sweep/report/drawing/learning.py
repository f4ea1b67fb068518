"""Draw how training and validation went, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.plan.trial import Record, State
from sweep.report.drawing.canvas import panel
from sweep.report.drawing.colors import BEST, FAILED, INFEASIBLE, TRIED
from sweep.report.drawing.score_axis import score_axis
from sweep.report.formats import count
from sweep.report.leaderboard import Configuration, Leaderboard
from sweep.report.table import settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOP = 6  # configurations
LOST = 3  # configurations of which a trial diverged or failed, after an epoch at least
TRAIN, VALIDATION = "train_loss", "val_loss"
SIZE = (3.6, 2.1)


@dataclass(frozen=True, slots=True)
class Curves:
    """One configuration's figure, and what it shows."""

    caption: str
    svg: str
    lost: bool = False


def learning_curves(board: Leaderboard, *, records: Mapping[int, Record]) -> list[Curves]:
    """Draw the best configurations on one scale, then some that were lost, each on its own."""
    top = [(rank, item) for rank, item in enumerate(board.ranked, start=1) if rank <= TOP]
    shown = [(rank, item, _curves(item, records, State.COMPLETED)) for rank, item in top]
    shared = [value for _, _, runs in shown for run in runs for value in _values(run)]
    found = [
        Curves(
            f"{rank}: {settings(item, board)}", _plot(runs, shared, BEST if rank == 1 else TRIED)
        )
        for rank, item, runs in shown
        if runs
    ]
    return [*found, *_lost(board, records)]


def _lost(board: Leaderboard, records: Mapping[int, Record]) -> list[Curves]:
    found: list[Curves] = []
    for state, color in ((State.INFEASIBLE, INFEASIBLE), (State.FAILED, FAILED)):
        for item in [*board.unranked, *board.ranked]:
            if len(found) == LOST:
                return found
            runs = _curves(item, records, state)
            if runs:
                name = settings(item, board)
                caption = f"{state.value.lower()}: {name}, {count(len(runs), 'trial')}"
                own = [value for run in runs for value in _values(run)]
                found.append(Curves(caption, _plot(runs, own, color), lost=True))
    return found


def _curves(
    item: Configuration, records: Mapping[int, Record], state: State
) -> list[Mapping[str, list[float | None]]]:
    own = (records[number] for number in item.trials if number in records)
    return [record.history for record in own if record.state is state and _values(record.history)]


def _values(history: Mapping[str, list[float | None]]) -> list[float]:
    return [
        value
        for name in (TRAIN, VALIDATION)
        for value in history.get(name, [])
        if value is not None and math.isfinite(value)
    ]


def _plot(
    runs: Sequence[Mapping[str, list[float | None]]], values: Sequence[float], color: str
) -> str:
    from matplotlib.ticker import MaxNLocator

    epochs = max(len(curve) for run in runs for curve in run.values())

    def draw(axes: Axes) -> None:
        for run in runs:
            for name, style in ((TRAIN, (0, (2, 1.5))), (VALIDATION, "-")):
                curve = [math.nan if value is None else value for value in run.get(name, [])]
                mark = "." if len(curve) == 1 else ""
                axes.plot(
                    range(1, len(curve) + 1),
                    curve,
                    linestyle=style,
                    marker=mark,
                    color=color,
                    alpha=1.0 if name == VALIDATION else 0.75,
                    linewidth=1.2,
                )
        score_axis(axes, values)
        axes.set_xlim(1 - 0.03 * epochs, epochs + 0.03 * epochs)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss")

    return panel(draw, title=f"Learning curves of {count(len(runs), 'trial')}", size=SIZE)
