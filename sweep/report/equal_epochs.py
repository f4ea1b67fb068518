"""Compare trials after the same number of epochs, where some were stopped before others."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sweep.plan.trial import Record, State
from sweep.report.leaderboard import Configuration, Leaderboard, cost

STOPPED = (State.PRUNED, State.PAUSED)
LOSS = "val_loss"


@dataclass(frozen=True, slots=True)
class Level:
    """What configurations had reached when all of them were still trained."""

    scores: tuple[tuple[Configuration, float], ...]
    epoch: int | None = None  # None: each was trained to its own end
    stopped: int = 0  # configurations that went no further than a rung


def level(board: Leaderboard, *, records: Mapping[int, Record]) -> Level:
    """Score every configuration with a result, over its seeds, as far as all were trained.

    Where a strategy stopped trials at rungs, the best value until the lowest of these rungs counts;
    a trial that its own patience had ended by then has not moved since. Otherwise the objective
    counts. Diverged trials have no place.
    """
    ended = Level(tuple((item, item.mean) for item in board.ranked if item.mean is not None))
    name = curve_of(board, records)
    lengths = [len(r.history.get(name, ())) for r in records.values() if r.state in STOPPED]
    if not any(lengths):
        return ended
    epoch = min(length for length in lengths if length)
    best = max if board.direction == "maximize" else min
    found = []
    for item in [*board.ranked, *board.unranked]:
        curves = [_reached(records.get(n), name)[:epoch] for n in item.trials]
        known = [best(curve) for curve in curves if curve]
        if known:
            found.append((item, statistics.fmean(known)))
    stopped = sum(bool(stopped_at(item, records)) for item, _ in found)
    return Level(tuple(found), epoch, stopped)


def at_level(board: Leaderboard, reached: Level) -> Leaderboard:
    """Rank configurations by what they had reached when all of them were still trained."""
    scored = [replace(item, scores=(score,)) for item, score in reached.scores]
    scored.sort(key=lambda item: (cost(item.mean, board.direction), item.trials))
    known = {item.trials for item in scored}
    others = [item for item in [*board.ranked, *board.unranked] if item.trials not in known]
    return replace(board, ranked=tuple(scored), unranked=tuple(others))


def stopped_at(item: Configuration, records: Mapping[int, Record]) -> int:
    """Tell how many epochs the stopped seeds of a configuration reached at most; 0: none was."""
    own = [records[n] for n in item.trials if n in records and records[n].state in STOPPED]
    return max((max(map(len, r.history.values()), default=0) for r in own), default=0)


def curve_of(board: Leaderboard, records: Mapping[int, Record]) -> str:
    """Name the curve whose best value is the objective."""
    known = any(board.objective in record.history for record in records.values())
    return board.objective if known else LOSS


def _reached(record: Record | None, name: str) -> Sequence[float]:
    if record is None or record.state not in (State.COMPLETED, *STOPPED):
        return []
    values = record.history.get(name, ())
    return [value for value in values if value is not None and math.isfinite(value)]
