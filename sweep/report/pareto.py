"""Find the configurations that nothing cheaper equals, and lay them out."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from sweep.plan.trial import Record, State
from sweep.report.formats import decimals, flop_unit, show_price, show_score
from sweep.report.leaderboard import Configuration, Leaderboard, cost
from sweep.report.table import Column, Table, settings

PARAMETERS = "parameters"
FLOP = "flop"


@dataclass(frozen=True, slots=True)
class Priced:
    """A ranked configuration, and what it costs."""

    rank: int
    configuration: Configuration
    score: float
    price: float


@dataclass(frozen=True, slots=True)
class Prices:
    """What the ranked configurations cost by one measure."""

    measure: str  # as an axis names it: "CPU seconds a trial"
    priced: tuple[Priced, ...]  # in the order of their ranks
    front: tuple[Priced, ...]  # the cheapest first; each is better than all that are cheaper


def find_prices(board: Leaderboard, *, records: Mapping[int, Record]) -> list[Prices]:
    """Price the ranked configurations by every measure that records have.

    GPU seconds where a GPU was held, CPU seconds otherwise; then the floating-point operations of
    its training, and the network's parameters. A measure by which all cost the same is left out.
    """
    own = [records[n] for item in board.ranked for n in item.trials if n in records]
    device = "gpu_seconds" if any(record.gpu_seconds for record in own) else "cpu_seconds"
    size, unit = flop_unit(max((_price(record, FLOP) or 0.0 for record in own), default=0.0))
    measures = (
        (device, f"{device[:3].upper()} seconds a trial", 1.0),
        (FLOP, f"{unit} a trial", size),
        (PARAMETERS, "parameters", 1.0),
    )
    found = [_priced(board, records, *measure) for measure in measures]
    return [prices for prices in found if prices and len({p.price for p in prices.priced}) > 1]


def front_table(prices: Prices, *, board: Leaderboard) -> Table:
    """Lay out the configurations that nothing cheaper equals, the cheapest first."""
    places = decimals(board.best.mean if board.best else None)
    return Table(
        columns=(
            Column(prices.measure),
            Column(board.objective),
            Column("rank"),
            Column("configuration", number=False),
        ),
        rows=tuple(
            (
                show_price(item.price),
                show_score(item.score, places=places),
                str(item.rank),
                settings(item.configuration, board),
            )
            for item in prices.front
        ),
        strong=frozenset(i for i, item in enumerate(prices.front) if item.rank == 1),
    )


def _priced(
    board: Leaderboard, records: Mapping[int, Record], name: str, measure: str, unit: float
) -> Prices | None:
    priced = []
    for rank, item in enumerate(board.ranked, start=1):
        own = [_price(records[n], name) for n in item.trials if _counts(records.get(n))]
        known = [price for price in own if price]
        if known and item.mean is not None:
            priced.append(Priced(rank, item, item.mean, statistics.fmean(known) / unit))
    return Prices(measure, tuple(priced), _front(priced, board.direction)) if priced else None


def _counts(record: Record | None) -> bool:
    return record is not None and record.state is State.COMPLETED


def _price(record: Record, name: str) -> float | None:
    return record.metrics.get(name) if name in (PARAMETERS, FLOP) else getattr(record, name)


def _front(priced: list[Priced], direction: str) -> tuple[Priced, ...]:
    front: list[Priced] = []
    for item in sorted(priced, key=lambda p: (p.price, cost(p.score, direction), p.rank)):
        if not front or cost(item.score, direction) < cost(front[-1].score, direction):
            front.append(item)
    return tuple(front)
