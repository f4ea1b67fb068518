"""Tell whether the best value of a setting lies at the edge of what was tried."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sweep.report.leaderboard import Leaderboard
from sweep.report.varied import is_number

MIN_VALUES = 3  # two values have only edges
EDGE_SHARE = 0.05  # of the range; reaches beyond the last value only in dense or random designs
DECADE = 10.0  # ranges that span one, and learning rates always, are compared on a log scale
FULL_STEP = 2.5  # a grid's ratio up to which the next value is a whole step on, else half of one

LEARNING_RATE = "optim.lr"

# The guide's ranges; None: it goes on without an end ("three or more layers").
GUIDE: Mapping[str, tuple[float, float | None]] = {
    "model.hidden_size": (50, 500),
    "model.num_layers": (1, None),
    "model.dropout": (0.2, 0.5),
    "optim.lr": (1e-4, 1e-2),
    "optim.weight_decay": (1e-4, 1e-3),
    "train.batch_size": (8, 256),
    "train.epochs": (50, 100),
    "data.lookback": (10, 200),
}


@dataclass(frozen=True, slots=True)
class Edge:
    """A best value with nothing tried on its other side."""

    key: str
    side: Literal["lowest", "highest"]
    value: float
    low: float  # of the values tried
    high: float
    tried: int
    beyond: float  # a value worth trying next
    guide: float | None  # where the guide's range ends on this side
    goes_on: bool  # the guide's range reaches beyond what was tried


def edges(board: Leaderboard) -> list[Edge]:
    """List the settings whose best value is the lowest or the highest of at least three.

    Zero (switched off) and a whole 1 (one layer) are natural ends, not edges; so is any dropout
    between the layers of a network that has one.
    """
    if board.best is None:
        return []
    found = []
    for key, values in board.varied.items():
        own = board.best.values[key]
        if key == "model.dropout" and board.best.values.get("model.num_layers") == (1,):
            continue
        if len(own) == 1 and all(is_number(value) for value in values):
            edge = _edge(key, own[0], values)
            if edge is not None:
                found.append(edge)
    return found


def _edge(key: str, best: float, values: Sequence[float]) -> Edge | None:
    off_is_a_value = 0 in values
    tried = sorted(value for value in values if value != 0) if off_is_a_value else sorted(values)
    if len(values) < MIN_VALUES or len(tried) < 2 or best not in tried:
        return None
    low, high = tried[0], tried[-1]
    log = low > 0 and (key == LEARNING_RATE or high / low >= DECADE)
    place = _place(best, low, high, log=log)
    if place >= 1 - EDGE_SHARE:
        side: Literal["lowest", "highest"] = "highest"
        neighbour = tried[tried.index(best) - 1]
    elif place <= EDGE_SHARE and not off_is_a_value and not _natural_end(best):
        side = "lowest"
        neighbour = tried[tried.index(best) + 1]
    else:
        return None
    start, end = GUIDE.get(key, (None, None))
    guide = end if side == "highest" else start
    return Edge(
        key=key,
        side=side,
        value=best,
        low=low,
        high=high,
        tried=len(values),
        beyond=_beyond(best, neighbour, log=log, share=all(0 <= value < 1 for value in values)),
        guide=guide,
        goes_on=_goes_on(key, side, best),
    )


def _natural_end(value: float) -> bool:
    return isinstance(value, int) and value == 1


def _goes_on(key: str, side: str, best: float) -> bool:
    if key not in GUIDE:
        return False
    start, end = GUIDE[key]
    if side == "lowest":
        return start < best
    return end is None or best < end


def _place(value: float, low: float, high: float, *, log: bool) -> float:
    if log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def _beyond(best: float, neighbour: float, *, log: bool, share: bool) -> float:
    """Go on from `best`, away from `neighbour`, to a round number."""
    if log:
        ratio = best / neighbour
        gentle = 1 / FULL_STEP <= ratio <= FULL_STEP
        step = best * (ratio if gentle else math.sqrt(ratio))
    else:
        step = 2 * best - neighbour
    if share and step >= 1:
        step = (1 + best) / 2
    if best > 0 >= step:
        step = best / 2
    if isinstance(best, int):
        return max(1, round(step)) if step < 100 else int(_rounded(step, digits=2))
    return _rounded(step, digits=1 if log else 2)


def _rounded(number: float, *, digits: int) -> float:
    return float(f"{number:.{digits}g}")
