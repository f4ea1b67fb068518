"""Builders of searches: spaces like the guide's, and a landscape that answers at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from sweep.plan.trial import Record, State
from sweep.search.space import Axis, Branch, Choice, Interval, Point, Space
from sweep.search.strategy import Next, Strategy, Tried, tried

START: Point = {
    "optim.lr": 0.001,
    "optim.name": "adam",
    "optim.clip_norm": 1.0,
    "model.hidden_size": 50,
    "model.num_layers": 1,
    "model.dropout": 0.2,
    "model.output_dropout": 0.0,
    "optim.weight_decay": 0.0001,
    "train.batch_size": 32,
    "data.lookback": 24,
    "optim.schedule.name": "constant",
    "train.epochs": 25,
}
GUIDE = Space(
    {
        "optim.lr": Interval(low=1e-4, high=1e-2, log=True),
        "optim.name": Choice(("adam", "rmsprop")),
        "model.hidden_size": Interval(low=50, high=500, log=True, whole=True),
        "model.num_layers": Interval(low=1, high=3, whole=True),
        "train.batch_size": Choice((8, 16, 32, 64, 128, 256)),
        "data.lookback": Interval(low=10, high=200, log=True, whole=True),
        "model.dropout": Interval(low=0.2, high=0.5),
        "model.output_dropout": Choice((0.0, 0.2, 0.3, 0.4, 0.5)),
        "optim.weight_decay": Choice((0.0, 0.0001, 0.001)),
        "optim.schedule.name": Choice(("constant", "cosine")),
        "train.epochs": Choice((25, 50, 100)),
    }
)

names = st.sampled_from(["lr", "size", "name", "model.num_layers", "optim.lr", "train.epochs"])
choices = st.lists(
    st.integers(0, 5) | st.sampled_from([0.5, 0.25, "a", "b", True]), min_size=1, max_size=4,
    unique_by=repr,
).map(lambda values: Choice(tuple(values)))  # fmt: skip
ends = st.sampled_from([(1, 9), (0.001, 0.1), (2.5, 3.5), (1e-4, 1.0)])
intervals = st.builds(
    lambda pair, log: Interval(low=pair[0], high=pair[1], log=log), ends, st.booleans()
)
whole = st.builds(
    lambda low, more, log: Interval(low=low, high=low + more, log=log, whole=True),
    st.integers(1, 9), st.integers(1, 300), st.booleans(),
)  # fmt: skip
axes: st.SearchStrategy[Axis] = st.one_of(choices, intervals, whole)


@st.composite
def spaces(draw: Any) -> Space:
    """Draw a space; one of its choices may open a branch."""
    own = draw(st.dictionaries(names, axes, min_size=1, max_size=4))
    picked = [key for key, axis in own.items() if isinstance(axis, Choice)]
    if not picked or draw(st.booleans()):
        return Space(own)
    key = draw(st.sampled_from(picked))
    value = draw(st.sampled_from(own[key].values))
    inside = draw(st.dictionaries(names.filter(lambda name: name != key), axes, max_size=2))
    return Space(own, (Branch({key: value}, inside),))


finite = st.dictionaries(names, choices, min_size=1, max_size=3).map(Space)


def completed(trial: int, objective: float, **more: Any) -> Record:
    return Record(trial, State.COMPLETED, objective, **more)


def diverged(trial: int) -> Record:
    return Record(trial, State.INFEASIBLE)


def bowl(point: Point) -> float:
    """Answer any point, the same each time: a sum of what its values say."""
    return math.fsum(
        (value - 2) ** 2 if isinstance(value, int | float) else len(str(value))
        for value in point.values()
    )


def end(item: Tried, answer: Callable[[Point], float | Record]) -> Tried:
    found = answer(item.point)
    record = found if isinstance(found, Record) else completed(item.number, found)
    return tried(item.number, item.point, [record], direction="minimize")


def begin(past: Sequence[Tried], points: Sequence[Point]) -> list[Tried]:
    return [*past, *(Tried(len(past) + i, point) for i, point in enumerate(points))]


def search(
    strategy: Strategy,
    answer: Callable[[Point], float | Record] = bowl,
    *,
    most: int = 4,
    trials: int = 30,
) -> tuple[list[Tried], Next]:
    """Search in batches until it is over, or until so many trials ended."""
    past: list[Tried] = []
    while True:
        found = strategy.suggest(past, most=min(most, trials - len(past)))
        if not found.points:
            return past, found
        past = [item if item.ended else end(item, answer) for item in begin(past, found.points)]
        if len(past) >= trials:
            return past, strategy.suggest(past, most=0)
