"""Tell how far the trials came that a strategy stopped before their end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.plan.trial import Record
from sweep.report.equal_epochs import STOPPED, curve_of
from sweep.report.formats import decimals, show_score
from sweep.report.leaderboard import Configuration, Leaderboard, cost
from sweep.report.table import Column, Table, settings


@dataclass(frozen=True, slots=True)
class Rung:
    """An epoch at which trials were stopped."""

    epoch: int
    reached: int  # trials that were trained so far, or further
    stopped: int  # of these, trials that went no further
    best: float | None  # that a stopped one had reached by then
    configuration: Configuration | None  # whose that was


def find_rungs(board: Leaderboard, *, records: Mapping[int, Record]) -> list[Rung]:
    """List the epochs at which trials were stopped; empty where none was.

    Their scores are those of short trainings, and stand in no leaderboard.
    """
    items = {n: item for item in [*board.ranked, *board.unranked] for n in item.trials}
    own = {n: records[n] for n in items if n in records}
    epochs = {n: max(map(len, record.history.values()), default=0) for n, record in own.items()}
    stopped = {n for n, record in own.items() if record.state in STOPPED}
    name = curve_of(board, records)
    found = []
    for epoch in sorted({epochs[n] for n in stopped}):
        here = [n for n in stopped if epochs[n] == epoch]
        scores = {n: _best(own[n], name, board.direction) for n in here}
        first = min(here, key=lambda n: (cost(scores[n], board.direction), n))
        known = scores[first] is not None
        found.append(
            Rung(
                epoch=epoch,
                reached=sum(length >= epoch for length in epochs.values()),
                stopped=len(here),
                best=scores[first],
                configuration=items[first] if known else None,
            )
        )
    return found


def rung_table(rungs: Sequence[Rung], *, board: Leaderboard) -> Table:
    """Lay out where trials were stopped, and the best that was."""
    places = decimals(board.best.mean if board.best else None)
    return Table(
        columns=(
            Column("epoch"),
            Column("reached"),
            Column("stopped there"),
            Column(f"best {board.objective} of these"),
            Column("its configuration", number=False),
        ),
        rows=tuple(
            (
                f"{rung.epoch:,}",
                f"{rung.reached:,}",
                f"{rung.stopped:,}",
                show_score(rung.best, places=places),
                settings(rung.configuration, board) if rung.configuration else "",
            )
            for rung in rungs
        ),
    )


def _best(record: Record, name: str, direction: str) -> float | None:
    values = [v for v in record.history.get(name, ()) if v is not None and math.isfinite(v)]
    return (max if direction == "maximize" else min)(values) if values else None
