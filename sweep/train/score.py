"""Score weights on windows that they were not trained on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sweep.plan.settings import Settings
from sweep.train import criterion, device, model
from sweep.train.criterion import Criterion, Score
from sweep.train.feed import Examples, Feed, open_feed
from sweep.train.folds import Fold, last_fold
from sweep.train.model import Network, Weights
from sweep.train.precision import arithmetic

BATCH = 512  # windows at a time; fixed, because it decides the order of the sums
Part = Literal["val", "test"]


def scored(
    settings: Settings, *, weights: Weights, part: Part, fold: Fold | None = None
) -> tuple[dict[str, float], NDArray[np.float64]]:
    """Score weights on the validation or the test windows, by `score` and by `errors` at once."""
    examples, network = _ready(settings, weights=weights, part=part, fold=fold)
    own = criterion.of(settings)
    sums: dict[str, float] = defaultdict(float)
    each: list[NDArray[np.float64]] = []
    with arithmetic(settings):
        for output, targets in _outputs(network, examples.feed, examples.part(part)):
            _add(sums, own.sums(output, targets))
            each.append(own.each(output, targets))
    found = {f"{part}_{name}": value for name, value in own.mean(sums).items()}
    return found, np.concatenate(each)


def score(
    settings: Settings, *, weights: Weights, part: Part, fold: Fold | None = None
) -> dict[str, float]:
    """Score weights on the validation or the test windows.

    Returns `val_mse` and `val_mae`, `test_error` and `test_accuracy`, or their like. With
    `data.folds` the test windows are standardised as those of the model that was trained on all
    else; the validation windows are a fold's.
    """
    return scored(settings, weights=weights, part=part, fold=fold)[0]


def errors(
    settings: Settings, *, weights: Weights, part: Part, fold: Fold | None = None
) -> NDArray[np.float64]:
    """Give the objective of each window of a part, in time order; their mean is the score.

    A forecast's is its mean over horizon and targets, a classifier's 0 or 1. The baselines' are
    `baselines.errors`, over the same windows: differences are paired.
    """
    return scored(settings, weights=weights, part=part, fold=fold)[1]


def errors_by_step(settings: Settings, *, weights: Weights, part: Part) -> NDArray[np.float64]:
    """Give a forecast's mean squared error at each step ahead, [F], over windows and targets."""
    examples, network = _ready(settings, weights=weights, part=part, fold=None)
    own, total, count = criterion.of(settings), np.zeros(settings.data.horizon), 0
    with arithmetic(settings):
        for output, targets in _outputs(network, examples.feed, examples.part(part)):
            error = (own.point(output) - targets).double()  # [B, F, D]
            total += error.square().mean(dim=2).sum(dim=0).cpu().numpy()
            count += len(error)
    return total / count


def evaluate(
    network: Network, *, feed: Feed, starts: NDArray[np.int64], criterion: Criterion
) -> Score:
    """Score a network on windows, without dropout or penalties; sums are in double precision."""
    sums: dict[str, float] = defaultdict(float)
    for output, targets in _outputs(network, feed, starts):
        _add(sums, criterion.sums(output, targets))
    return criterion.mean(sums)


def _add(sums: dict[str, float], batch: Mapping[str, float]) -> None:
    for name, value in batch.items():
        sums[name] += value


def _outputs(
    network: Network, feed: Feed, starts: NDArray[np.int64]
) -> Iterator[tuple[Tensor, Tensor]]:
    with torch.no_grad():
        for first in range(0, len(starts), BATCH):
            inputs, targets = feed.batch(starts[first : first + BATCH])
            yield network(inputs), targets


def _ready(
    settings: Settings, *, weights: Weights, part: Part, fold: Fold | None
) -> tuple[Examples, Network]:
    if fold is None and part == "test":
        fold = last_fold(settings.data)
    examples = open_feed(settings, fold=fold)
    place = device.resolve(settings.train.device)
    return examples, model.build(settings, device=place, weights=weights)
