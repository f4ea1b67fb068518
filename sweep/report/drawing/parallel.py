"""Draw every configuration as a line across its settings and its score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.plan.trial import State, Value
from sweep.report.drawing.canvas import PAGE, PANEL, Point, Sheet
from sweep.report.drawing.colors import shade
from sweep.report.drawing.scale import Scale, score_scale, setting_scale, thinned
from sweep.report.equal_epochs import STOPPED
from sweep.report.isolation import has_effect
from sweep.report.leaderboard import Configuration, Leaderboard
from sweep.report.table import ANY

MOST = 1000  # lines; of more, one in so many is drawn, the winner always
MOST_LOST = 300
SPREAD = 0.025  # of an axis: lines of one value side by side, by rank, so that they can be counted
GAP = 0.15  # of an axis that lies: room for a tick's text
BELOW, ABOVE = -0.13, 1.13  # where what has no place on an axis goes through

HEIGHT = 374.0
RAIL, MARGIN = 77.0, 30.0  # of the stacked figure: from axis to axis, and below the last
LOST = (*STOPPED, State.INFEASIBLE, State.FAILED)

Stop = tuple[float, float]  # number of an axis, and the place on it from 0 to 1


@dataclass(frozen=True, slots=True)
class Rail:
    """One axis of the figure."""

    title: str
    ticks: Sequence[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Line:
    """One configuration's way through the axes."""

    stops: Sequence[Stop]
    share: float | None  # of the way from the last rank to the first; None: no score
    state: State = State.COMPLETED

    @property
    def look(self) -> str:
        """Name the classes that colour it."""
        if self.share is not None:
            return f"rank-{shade(self.share)}"
        return "rung" if self.state in STOPPED else self.state.value.lower()


@dataclass(frozen=True, slots=True)
class Track:
    """Axes side by side on a wide sheet, or one below the other on a narrow one."""

    sheet: Sheet
    last: int  # number of the last axis
    stacked: bool

    def at(self, number: float, place: float) -> Point:
        """Give the pixels of a place on an axis."""
        share = (place - BELOW + 0.04) / (ABOVE - BELOW + (0.14 if self.stacked else 0.18))
        if self.stacked:
            return share * self.sheet.width, 28 + number * RAIL
        left, right = 0.07 * self.sheet.width, 0.97 * self.sheet.width
        across = left + (right - left) * number / max(self.last, 1)
        return across, (1 - share) * self.sheet.height


def parallel_coordinates(board: Leaderboard, *, stacked: bool = False) -> str:
    """Draw the figure as SVG: axes side by side, or one below the other for a narrow page."""
    rails, lines = _layout(board)
    last = len(rails) - 1
    sheet = Sheet(PANEL, last * RAIL + 28 + MARGIN) if stacked else Sheet(PAGE, HEIGHT)
    track = Track(sheet, last, stacked)
    _draw_lines(track, lines)
    for number, rail in enumerate(rails):
        _draw_rail(track, number, rail)
    return sheet.svg(f"Parallel coordinates of {len(lines)} configurations")


def one_in(board: Leaderboard) -> int:
    """Tell of how many ranked configurations one is drawn."""
    return max(1, math.ceil(len(board.ranked) / MOST))


def _layout(board: Leaderboard) -> tuple[list[Rail], list[Line]]:
    scales = {key: setting_scale(key, values) for key, values in board.varied.items()}
    scores = [item.mean for item in board.ranked if item.mean is not None]
    scale = score_scale(scores)
    lost = _lost(board)
    total = len(board.ranked)
    every = one_in(board)
    lines = [
        Line(_stops(item, scales, board, ABOVE, share=0.0), None, state) for item, state in lost
    ]
    for rank in range(((total - 1) // every) * every, -1, -every):
        item = board.ranked[rank]
        share = 1 - rank / max(total - 1, 1)
        lines.append(Line(_stops(item, scales, board, scale.place(item.mean), share=share), share))
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
        state = next((state for state in reversed(LOST) if item.states.get(state)), None)
        if state is not None:
            found.append((item, state))
    return found


def _stops(
    item: Configuration,
    scales: Mapping[str, Scale],
    board: Leaderboard,
    end: float,
    *,
    share: float,
) -> list[Stop]:
    aside = SPREAD * (2 * share - 1)
    stops = [
        (float(i), aside + (_place(key, item, scales, board))) for i, key in enumerate(board.varied)
    ]
    return [*stops, (float(len(stops)), end)]


def _place(key: str, item: Configuration, scales: Mapping[str, Scale], board: Leaderboard) -> float:
    own: Value = item.values[key][0]
    return scales[key].place(own) if has_effect(key, item, board) else BELOW


def _draw_lines(track: Track, lines: Sequence[Line]) -> None:
    """Draw the worst first; all lines of one look are one shape."""
    thick = "thin" if len(lines) > 500 else "fine" if len(lines) > 150 else "line"
    for look in dict.fromkeys(line.look for line in lines):
        ways = [[track.at(*stop) for stop in line.stops] for line in lines if line.look == look]
        track.sheet.lines(ways, look=f"{look} {thick}")
    if lines and lines[-1].share is not None:
        track.sheet.lines([[track.at(*stop) for stop in lines[-1].stops]], look="best bold")


def _draw_rail(track: Track, number: int, rail: Rail) -> None:
    sheet = track.sheet
    marks = []
    for place, text in thinned(rail.ticks, gap=GAP if track.stacked else 0.0):
        x, y = track.at(number, place)
        if track.stacked:
            marks.append([(x, y), (x, y + 5)])
            sheet.text((x, y + 17), text, look="middle on-lines")
        else:
            marks.append([(x - 5, y), (x, y)])
            sheet.text((x - 8, y + 4), text, look="end on-lines")
    sheet.lines([[track.at(number, -0.04), track.at(number, 1.04)], *marks], look="rail")
    if track.stacked:
        _, y = track.at(number, 0)
        sheet.text((2, y - 10), rail.title, look="strong on-lines")
    else:
        x, _ = track.at(number, 0)
        at_end = number == track.last and number > 0
        where = (x + 20, 14) if at_end else (x, 14)
        sheet.text(where, rail.title, look=f"{'end' if at_end else 'middle'} strong on-lines")
