"""Draw what each value of a setting reached, over all the other settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sweep.report.drawing.axes import Axis, Frame, score_axis
from sweep.report.drawing.canvas import PANEL, Sheet
from sweep.report.drawing.scale import Scale, setting_scale, thinned
from sweep.report.formats import decimals, show_score, show_value
from sweep.report.isolation import Isolated, has_effect
from sweep.report.leaderboard import Configuration, Leaderboard

MOST = 20  # values that are marked one by one; a setting with more was drawn from a range
SPREAD = 0.02  # of the axis: configurations of one value side by side
GOLDEN = 0.618034  # multiples of it, cut to their fractions, spread evenly and show no pattern
HEIGHT = 212.0
ROOM = 0.1  # of the axis, on both sides
TIMES = "\N{MULTIPLICATION SIGN}"
GAP = 0.17  # of the axis that a tick's text needs


@dataclass(frozen=True, slots=True)
class Plot:
    """One setting's figure."""

    key: str
    svg: str


def isolation_plots(
    rows: Sequence[Isolated], *, board: Leaderboard, winner: Configuration | None
) -> list[Plot]:
    """Draw a figure for each varied setting; all have the same scale of scores.

    `winner` stands in the board's order, though not always first.
    """
    scores = [item.mean for item in board.ranked if item.mean is not None]
    if not scores:
        return []
    axis = score_axis(scores, title=board.objective)
    keys = dict.fromkeys(row.key for row in rows if row.best is not None)
    return [
        Plot(key, _plot([r for r in rows if r.key == key], axis, board, winner)) for key in keys
    ]


def _plot(
    rows: Sequence[Isolated], scores: Axis, board: Leaderboard, winner: Configuration | None
) -> str:
    key = rows[0].key
    scale = setting_scale(key, [row.value for row in rows])
    across = Axis(-ROOM, 1 + ROOM, thinned(scale.ticks, gap=GAP))
    frame = Frame(Sheet(PANEL, HEIGHT), across, scores, bottom=26, top=22)
    frame.draw(upright=False)
    _draw_all(frame, key, scale, board)
    if len(rows) <= MOST:
        _draw_values(frame, rows, scale, board)
        _draw_divergences(frame, rows, scale)
    if winner is not None and winner.mean is not None and has_effect(key, winner, board):
        for value in winner.values[key]:
            frame.sheet.dot(frame.at(scale.place(value), winner.mean), radius=4.6, look="best")
    return frame.sheet.svg(f"{board.objective} per value of {board.names[key]}")


def _draw_all(frame: Frame, key: str, scale: Scale, board: Leaderboard) -> None:
    points = []
    for rank, item in enumerate(board.ranked):
        if item.mean is not None and has_effect(key, item, board):
            aside = SPREAD * (2 * (rank * GOLDEN % 1) - 1)
            points += [frame.at(scale.place(v) + aside, item.mean) for v in item.values[key]]
    frame.sheet.cloud(points, look="tried")


def _draw_values(frame: Frame, rows: Sequence[Isolated], scale: Scale, board: Leaderboard) -> None:
    places = decimals(board.best.mean if board.best else None)
    told = [(scale.place(r.value), r.best, r) for r in rows if r.best is not None]
    if scale.ordered:
        frame.sheet.lines([[frame.at(x, best) for x, best, _ in told]], look="tried line")
    medians = [frame.at(x, row.median) for x, _, row in told if row.median is not None]
    frame.sheet.lines([[(x - 7, y), (x + 7, y)] for x, y in medians], look="ink line")
    for x, best, row in told:
        hint = f"{show_value(row.value)}: best {show_score(best, places=places)}"
        hint += f", median {show_score(row.median, places=places)} of {row.count}"
        frame.sheet.dot(frame.at(x, best), radius=3.2, look="tried", hint=hint)


def _draw_divergences(frame: Frame, rows: Sequence[Isolated], scale: Scale) -> None:
    for row in rows:
        if row.infeasible:
            x = frame.across(frame.x.place(scale.place(row.value)))
            look = "middle strong infeasible"
            frame.sheet.text((x, frame.top - 8), f"{row.infeasible}{TIMES}", look=look)
