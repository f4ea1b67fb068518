"""Find the best result per value of each varied setting, over all the others."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sweep.plan.trial import Value
from sweep.report.leaderboard import Configuration, Leaderboard
from sweep.report.varied import hashable


@dataclass(frozen=True, slots=True)
class Isolated:
    """What one value of one setting reached."""

    key: str
    value: Value
    best: float | None  # of the highest in rank; None where nothing completed
    median: float | None
    count: int  # ranked configurations with this value
    infeasible: int  # trials with this value that diverged


def isolate(board: Leaderboard) -> list[Isolated]:
    """List every value of every varied setting, in the order of the grid.

    A configuration on which a setting has no effect (dropout between layers of one layer) says
    nothing about that setting, and is left out of its rows.
    """
    configurations = [*board.ranked, *board.unranked]
    return [row for key in board.varied for row in _rows(key, configurations, board)]


def has_effect(key: str, configuration: Configuration, board: Leaderboard) -> bool:
    """Tell whether a setting changes anything in this configuration."""
    return len(configuration.values[key]) < len(board.varied[key])


def _rows(key: str, configurations: Sequence[Configuration], board: Leaderboard) -> list[Isolated]:
    members: dict[Value, list[Configuration]] = defaultdict(list)
    for item in configurations:
        if has_effect(key, item, board):
            for value in item.values[key]:
                members[hashable(value)].append(item)
    if not members:
        return []
    return [_isolated(key, value, members.get(hashable(value), [])) for value in board.varied[key]]


def _isolated(key: str, value: Value, members: Sequence[Configuration]) -> Isolated:
    """Sum up the configurations with one value, which come in the order of their ranks."""
    means = [item.mean for item in members if item.mean is not None]
    return Isolated(
        key=key,
        value=value,
        best=means[0] if means else None,
        median=statistics.median(means) if means else None,
        count=len(means),
        infeasible=sum(item.infeasible for item in members),
    )
