"""Name the strategies."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.errors import UnknownName
from sweep.search.blind import Grid, Random, Sobol
from sweep.search.space import Point, Space
from sweep.search.staged import Staged
from sweep.search.strategy import Strategy
from sweep.search.tpe import Tpe
from sweep.search.warm import Warm

HALVING = "halving"  # random points; workers decide by rungs how far each is trained
BLIND = ("grid", "random", "sobol", HALVING)  # they ask for no result, so all can begin at once
STRATEGIES = (*BLIND, "staged", "tpe", "gp")


def choose(
    name: str, space: Space, *, start: Point, seed: int = 0, first: Sequence[Point] = ()
) -> Strategy:
    """Make a strategy by name; `first` is tried before it is asked, an earlier study's best.

    Raises UnknownName, and BadInput where the space does not suit.
    """
    strategy = _made(name, space, start=start, seed=seed)
    return Warm(strategy, tuple(first)) if first else strategy


def _made(name: str, space: Space, *, start: Point, seed: int) -> Strategy:
    match name:
        case "grid":
            return Grid(space)
        case "random" | "halving":
            return Random(space, seed)
        case "sobol":
            return Sobol(space, seed)
        case "staged":
            return Staged(space, start)
        case "tpe" | "gp":
            return Tpe(space, seed, name)
        case _:
            raise UnknownName("strategy", name, STRATEGIES)
