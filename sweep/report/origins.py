"""Lay out a backtest, a row an origin."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from sweep.report.formats import decimals, show_score
from sweep.report.rolled import Rolled
from sweep.report.table import Column, Table


def rolled_table(rolled: Rolled) -> Table:
    """Lay out a row an origin, and the means over all of them."""
    known = [value for own in rolled.scores.values() for value in own if value is not None]
    places = decimals(min(known, default=None))
    rows = [
        (
            f"{rolled.known[i]:,}",
            f"{rolled.tested[i]:,}",
            *(_shown(own[i], places) for own in rolled.scores.values()),
        )
        for i in range(len(rolled.known))
    ]
    means = (_shown(_mean(own), places) for own in rolled.scores.values())
    return Table(
        columns=(Column("rows known"), Column("tested"), *map(Column, rolled.scores)),
        rows=(*rows, ("mean", "", *means)),
        strong=frozenset([len(rows)]),
    )


def _mean(own: Sequence[float | None]) -> float | None:
    """Average over all origins; None where a network diverged: a mean of the rest would flatter."""
    known = [value for value in own if value is not None]
    return statistics.fmean(known) if len(known) == len(own) else None


def _shown(value: float | None, places: int) -> str:
    return "diverged" if value is None else show_score(value, places=places)
