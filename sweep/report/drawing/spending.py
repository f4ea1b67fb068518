"""Draw what a configuration cost against what it reached."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.report.baselines import Baseline
from sweep.report.drawing.axes import Frame, score_axis
from sweep.report.drawing.canvas import PANEL, Point, Sheet
from sweep.report.formats import decimals, show_price, show_score
from sweep.report.leaderboard import Leaderboard
from sweep.report.pareto import Priced, Prices
from sweep.report.table import settings

HEIGHT = 250.0
APART = 14.0  # pixels between the numbers of two ranks
LABELS = 6  # points of the front that are named by their rank


def cost_against_quality(
    prices: Prices, *, board: Leaderboard, baselines: Sequence[Baseline] = ()
) -> str:
    """Draw a measure of cost against the objective, the front as a line, the best baseline too."""
    own = [item.score for item in prices.priced]
    places = decimals(board.best.mean if board.best else None)
    paid = [item.price for item in prices.priced]
    across = score_axis(paid, title=prices.measure, show=show_price)
    up = score_axis([*own, *(item.objective for item in baselines[:1])], title=board.objective)
    frame = Frame(Sheet(PANEL, HEIGHT), across, up)
    frame.draw()
    frame.sheet.cloud([frame.at(p.price, p.score) for p in prices.priced], look="tried")
    frame.sheet.lines([_steps(frame, prices.front)], look="tried line")
    for baseline in baselines[:1]:
        _, y = frame.at(across.low, baseline.objective)
        left, right = frame.across(0), frame.across(1)
        frame.sheet.lines([[(left, y), (right, y)]], look="baseline dashed")
        frame.sheet.text((right, y - 4), baseline.name, look="end baseline on-lines")
    for item, (x, y) in _apart(frame, prices.front)[-LABELS:]:
        look = "best" if item.rank == 1 else "tried"
        score = show_score(item.score, places=places)
        hint = f"rank {item.rank}: {settings(item.configuration, board)}, {score}"
        frame.sheet.dot((x, y), radius=4, look=look, hint=hint)
        frame.sheet.text((x + 6, y - 6), str(item.rank), look=f"{look} on-lines")
    return frame.sheet.svg(f"{prices.measure} against {board.objective}")


def _steps(frame: Frame, front: Sequence[Priced]) -> list[Point]:
    """Go along the front in steps: between two prices nothing better is to be had."""
    points: list[Point] = []
    for item in front:
        x, y = frame.at(item.price, item.score)
        points += [(x, points[-1][1]), (x, y)] if points else [(x, y)]
    return [*points, (frame.across(1), points[-1][1])]


def _apart(frame: Frame, front: Sequence[Priced]) -> list[tuple[Priced, Point]]:
    """Leave out points whose numbers would cover that of a better one."""
    kept: list[tuple[Priced, Point]] = []
    for item in reversed(front):
        x, y = frame.at(item.price, item.score)
        if all(abs(x - a) > APART or abs(y - b) > APART for _, (a, b) in kept):
            kept.append((item, (x, y)))
    return kept[::-1]
