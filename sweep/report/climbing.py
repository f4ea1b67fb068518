"""Tell how trials climbed the rungs of a search by halving, from their records alone."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sweep.plan.rungs import Ladder, never_began
from sweep.plan.trial import Record, State
from sweep.report.equal_epochs import STOPPED, curve_of
from sweep.report.formats import count, show_list
from sweep.report.leaderboard import Configuration, Leaderboard, cost

PROMOTED, PRUNED, WHOLE, EARLY = "promoted", "pruned", "trained to the end", "ended early"
LOST = {State.INFEASIBLE: "diverged", State.FAILED: "failed", State.CANCELLED: "cancelled"}
ORDER = (PROMOTED, WHOLE, EARLY, PRUNED, *LOST.values())


@dataclass(frozen=True, slots=True)
class Landing:
    """One rung of a ladder, and what came of the trials that set out for it."""

    epoch: int
    entered: int  # trials
    fates: Mapping[str, int]  # what became of them, by its name
    best: float | None  # that a configuration had reached by then, a mean over its seeds
    configuration: Configuration | None  # whose that was


def find_landings(
    ladder: Ladder, *, board: Leaderboard, records: Mapping[int, Record]
) -> list[Landing]:
    """Follow the trials of a ladder from rung to rung, the first rung first.

    A trial that its own patience ended early stands at every later rung: its curve would not
    change. Rungs that none set out for are left out.
    """
    own = _begun(ladder, records)
    items = {n: item for item in [*board.ranked, *board.unranked] for n in item.trials}
    tops = {n: _top(record, ladder) for n, record in own.items()}
    found = []
    for rung, epoch in enumerate(ladder.rungs):
        fates = Counter(
            PROMOTED if tops[n] > rung else _fate(own[n], ladder) for n in own if tops[n] >= rung
        )
        if not fates:
            break
        there = {n: record for n, record in own.items() if _stands(record, tops[n], rung)}
        first, best = _best(ladder, there, epoch=epoch, board=board)
        found.append(
            Landing(
                epoch=epoch,
                entered=fates.total(),
                fates={fate: fates[fate] for fate in ORDER if fates[fate]},
                best=best,
                configuration=None if first is None else items.get(first),
            )
        )
    return found


def sentence(landing: Landing) -> str:
    """Say what came of the trials that set out for a rung."""
    fates = show_list([f"{number:,} {fate}" for fate, number in landing.fates.items()])
    return f"{count(landing.entered, 'trial')} entered: {fates}"


def _begun(ladder: Ladder, records: Mapping[int, Record]) -> dict[int, Record]:
    known = {n: records[n] for unit in ladder.units for n in unit if n in records}
    return {n: record for n, record in known.items() if not never_began(record)}


def _best(
    ladder: Ladder, there: Mapping[int, Record], *, epoch: int, board: Leaderboard
) -> tuple[int | None, float | None]:
    """Find the best configuration of a rung, by its first trial: a mean over its seeds."""
    name, best = curve_of(board, there), max if board.direction == "maximize" else min
    scores: dict[int, float] = {}
    for unit in ladder.units:
        curves = [_until(there[n], name, epoch) for n in unit if n in there]
        if len(curves) == len(unit) and all(curves):
            scores[unit[0]] = statistics.fmean(map(best, curves))
    first = min(scores, key=lambda n: (cost(scores[n], board.direction), n), default=None)
    return first, None if first is None else scores[first]


def _epochs(record: Record) -> int:
    return max(map(len, record.history.values()), default=0)


def _top(record: Record, ladder: Ladder) -> int:
    """Give the rung that a trial rests at or was on its way to when it ended."""
    epochs, last = _epochs(record), len(ladder.rungs) - 1
    if record.state in STOPPED:
        return max((r for r, e in enumerate(ladder.rungs) if e <= epochs), default=0)
    if record.state is State.COMPLETED:
        return next((r for r, e in enumerate(ladder.rungs) if e >= epochs), last)
    return next((r for r, e in enumerate(ladder.rungs) if e > epochs), last)


def _fate(record: Record, ladder: Ladder) -> str:
    if record.state in STOPPED:
        return PRUNED
    if record.state is State.COMPLETED:
        return WHOLE if _epochs(record) >= ladder.rungs[-1] else EARLY
    return LOST[record.state]


def _stands(record: Record, top: int, rung: int) -> bool:
    """Tell whether a trial came to a rung."""
    return (
        top > rung or record.state is State.COMPLETED or (top == rung and record.state in STOPPED)
    )


def _until(record: Record, name: str, epoch: int) -> list[float]:
    values = record.history.get(name, ())[:epoch]
    return [value for value in values if value is not None and math.isfinite(value)]
