"""Put what needs no tuning beside what was tuned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sweep.plan.application import Scores
from sweep.report.leaderboard import Leaderboard, cost


@dataclass(frozen=True, slots=True)
class Baseline:
    """A forecast without a network, scored on the same windows as the trials."""

    name: str
    objective: float
    test: float | None = None


def read_baselines(scores: Scores, *, board: Leaderboard) -> list[Baseline]:
    """Read the baselines' scores under the leaderboard's names, the best first.

    A baseline without a finite objective is left out.
    """
    found = [
        Baseline(name, own[board.objective], own.get(board.test))
        for name, own in scores.items()
        if math.isfinite(own.get(board.objective, math.nan))
    ]
    return sorted(found, key=lambda item: (cost(item.objective, board.direction), item.name))


def ahead(baselines: Sequence[Baseline], *, board: Leaderboard) -> list[Baseline]:
    """List the baselines that no configuration beats on the objective; a tie is no win."""
    best = cost(board.best.mean if board.best else None, board.direction)
    return [item for item in baselines if cost(item.objective, board.direction) <= best]


def ahead_on_test(
    baselines: Sequence[Baseline], *, board: Leaderboard, test: float | None
) -> list[Baseline]:
    """List the baselines that the winning configuration does not beat on the test part."""
    if test is None:
        return []
    own = cost(test, board.direction)
    return [b for b in baselines if b.test is not None and cost(b.test, board.direction) <= own]
