"""Train a configuration anew at later and later origins, and test it on what follows each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sweep.errors import BadInput
from sweep.plan.settings import Settings
from sweep.plan.trial import State
from sweep.train import criterion, data, loop, score
from sweep.train.baselines import baselines, scoring_of


@dataclass(frozen=True, slots=True)
class Origin:
    """One origin: how many rows lie before it, and how well the rows after it are forecast."""

    known: int  # rows before it: training, and validation for early stopping
    tested: int  # rows after it, up to the next origin
    scores: dict[str, float]  # of the network, and of each baseline; NaN where it diverged


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a forecast would have been worth, had it been made anew time after time."""

    metric: str
    origins: list[Origin]
    by_step: list[float]  # mean squared error at each step ahead, over all origins


def backtest(
    settings: Settings, *, origins: int, told: Callable[[Origin], None] | None = None
) -> Backtest:
    """Roll the origin through the test part, in so many blocks, each with a network of its own.

    At each origin the validation part is as long as before and ends there; what is before it is
    trained on, with the configuration's own early stopping and scaling. Baselines are fitted anew
    as well. Tashman (2000) calls this a rolling origin with recalibration.
    Raises BadInput where the data are no series, or a block is shorter than the horizon.
    """
    own = settings.data
    if own.kind != "series":
        raise BadInput(f"data.kind={own.kind}: there is no time to roll through; series have one")
    series = data.load(own)
    rows, start = len(series.values), series.test_start
    held = series.val_end - series.train_end
    ends = [start + (rows - start) * block // origins for block in range(origins + 1)]
    if min(np.diff(ends)) < own.horizon:
        raise BadInput(
            f"{origins} origins in {rows - start} test rows leave blocks shorter than "
            f"data.horizon={own.horizon}; ask for fewer"
        )
    found: list[Origin] = []
    steps: list[NDArray[np.float64]] = []
    metric = criterion.of(settings).objective
    for first, last in pairwise(ends):
        split = [float(first - held), float(held), float(last - first)]
        there = replace(settings, data=replace(own, split=split))
        trained = loop.train(there)
        scores = {
            name: baseline.scores[f"test_{metric}"]
            for name, baseline in baselines(there.data, scored_by=scoring_of(there)).items()
        }
        network = float("nan")
        if trained.state is State.COMPLETED:
            tested = score.score(there, weights=trained.weights, part="test")
            network = tested[f"test_{metric}"]
            steps.append(score.errors_by_step(there, weights=trained.weights, part="test"))
        found.append(Origin(first, last - first, {"network": network, **scores}))
        if told is not None:
            told(found[-1])
    by_step = np.mean(steps, axis=0).tolist() if steps else []
    return Backtest(metric, found, by_step)
