"""Draw how training and validation went, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.plan.trial import Record, State
from sweep.report.drawing.axes import Frame, epoch_axis, score_axis
from sweep.report.drawing.canvas import PANEL, Point, Sheet
from sweep.report.equal_epochs import STOPPED
from sweep.report.formats import count
from sweep.report.leaderboard import Configuration, Leaderboard
from sweep.report.table import settings

TOP = 6  # configurations
LOST = 3  # configurations of which a trial diverged or failed, after an epoch at least
MOST_STOPPED = 300  # curves of trials that were stopped at rungs
TRAIN, VALIDATION = "train_loss", "val_loss"
HEIGHT = 202.0

Run = Mapping[str, Sequence[float | None]]  # one trial's curves by name


@dataclass(frozen=True, slots=True)
class Curves:
    """One configuration's figure, and what it shows."""

    caption: str
    svg: str
    look: str  # the class that colours it


def learning_curves(board: Leaderboard, *, records: Mapping[int, Record]) -> list[Curves]:
    """Draw the best configurations on one scale, then some that were lost, each on its own."""
    top = [(rank, item) for rank, item in enumerate(board.ranked, start=1) if rank <= TOP]
    shown = [(rank, item, _runs(item, records, State.COMPLETED)) for rank, item in top]
    shared = [value for _, _, runs in shown for run in runs for value in _values(run)]
    found = []
    for rank, item, runs in shown:
        if runs:
            look = "best" if rank == 1 else "tried"
            name = settings(item, board) or "the one configuration"
            found.append(Curves(f"{rank}: {name}", _plot(runs, shared, look=look), look))
    return [*found, *_lost(board, records)]


def objective_curves(board: Leaderboard, *, records: Mapping[int, Record]) -> str:
    """Draw the objective of the best configurations, epoch by epoch, on one scale.

    Empty where it is no curve of its own beside the loss.
    """
    name = board.objective
    shown = [
        ("tried fine" if rank > 1 else "best line", _completed(item.trials, records))
        for rank, item in enumerate(board.ranked[:TOP], start=1)
    ]
    values = [v for _, runs in shown for run in runs for v in _known(run.get(name, []))]
    if name == VALIDATION or not values:
        return ""
    axis = epoch_axis(max(len(run.get(name, [])) for _, runs in shown for run in runs))
    frame = Frame(Sheet(PANEL, HEIGHT), axis, score_axis(values, title=name))
    frame.draw()
    for look, runs in reversed(shown):
        _draw(frame, [run.get(name, []) for run in runs], look=look)
    return frame.sheet.svg(f"{name} of the best {count(len(shown), 'configuration')}, by epoch")


def stopped_curves(board: Leaderboard, *, records: Mapping[int, Record]) -> str:
    """Draw how far the trials came that were stopped at rungs, beside those that went on.

    Empty where none was stopped.
    """
    found: list[Run] = [r.history for r in records.values() if r.state in STOPPED]
    stopped = [run for run in found if _known(run.get(VALIDATION, []))][:MOST_STOPPED]
    if not stopped:
        return ""
    winner = board.best.trials if board.best else ()
    others = [item.trials for item in board.ranked[1:MOST_STOPPED]]
    shown: list[tuple[str, list[Run]]] = [
        ("rung fine", stopped),
        ("tried fine", _completed([n for own in others for n in own], records)),
        ("best line", _completed(winner, records)),
    ]
    curves = [_known(run.get(VALIDATION, [])) for _, runs in shown for run in runs]
    values = [value for curve in curves for value in curve]
    axis = epoch_axis(max(len(run.get(VALIDATION, [])) for _, runs in shown for run in runs))
    frame = Frame(Sheet(PANEL, HEIGHT), axis, score_axis(values, title="loss"))
    frame.draw()
    for look, runs in shown:
        own = [run.get(VALIDATION, []) for run in runs]
        _draw(frame, own, look=look)
        ends = [frame.at(len(curve), curve[-1]) for curve in map(_known, own) if curve]
        frame.sheet.dots(ends, look=look.split()[0])
    return frame.sheet.svg(f"How far {count(len(stopped), 'stopped trial')} came")


def _completed(numbers: Sequence[int], records: Mapping[int, Record]) -> list[Run]:
    own = [records[n] for n in numbers if n in records]
    return [r.history for r in own if r.state is State.COMPLETED and _values(r.history)]


def _lost(board: Leaderboard, records: Mapping[int, Record]) -> list[Curves]:
    found: list[Curves] = []
    for state in (State.INFEASIBLE, State.FAILED):
        for item in [*board.unranked, *board.ranked]:
            if len(found) == LOST:
                return found
            runs = _runs(item, records, state)
            if runs:
                look = state.value.lower()
                which = [count(len(runs), "trial")] if len(item.trials) > 1 else []
                name = ", ".join([settings(item, board) or "the one configuration", *which])
                own = [value for run in runs for value in _values(run)]
                found.append(Curves(f"{look}: {name}", _plot(runs, own, look=look), look))
    return found


def _runs(item: Configuration, records: Mapping[int, Record], state: State) -> list[Run]:
    own = (records[number] for number in item.trials if number in records)
    return [record.history for record in own if record.state is state and _values(record.history)]


def _values(run: Run) -> list[float]:
    return [value for name in (TRAIN, VALIDATION) for value in _known(run.get(name, []))]


def _known(curve: Sequence[float | None]) -> list[float]:
    return [value for value in curve if value is not None and math.isfinite(value)]


def _plot(runs: Sequence[Run], values: Sequence[float], *, look: str) -> str:
    epochs = max(len(curve) for run in runs for curve in run.values())
    frame = Frame(Sheet(PANEL, HEIGHT), epoch_axis(epochs), score_axis(values, title="loss"))
    frame.draw()
    for name, style in ((TRAIN, "dashed"), (VALIDATION, "line")):
        _draw(frame, [run.get(name, []) for run in runs], look=f"{look} {style}")
    return frame.sheet.svg(f"Learning curves of {count(len(runs), 'trial')}")


def _draw(frame: Frame, curves: Sequence[Sequence[float | None]], *, look: str) -> None:
    """Draw curves as one shape; a single epoch is a dot."""
    pieces = [piece for curve in curves for piece in _pieces(frame, curve)]
    frame.sheet.lines([piece for piece in pieces if len(piece) > 1], look=look)
    frame.sheet.dots([piece[0] for piece in pieces if len(piece) == 1], look=look.split()[0])


def _pieces(frame: Frame, curve: Sequence[float | None]) -> list[list[Point]]:
    """Cut a curve where a value is missing or infinite."""
    pieces: list[list[Point]] = [[]]
    for epoch, value in enumerate(curve, start=1):
        if value is not None and math.isfinite(value):
            pieces[-1].append(frame.at(epoch, value))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]
