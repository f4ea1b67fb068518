"""Score weights on windows that they were not trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from sweep.plan.settings import Settings
from sweep.train import device, model
from sweep.train.feed import Feed, open_feed
from sweep.train.model import Network, Weights

BATCH = 512  # windows at a time; fixed, because it decides the order of the sums


@dataclass(frozen=True, slots=True)
class Score:
    """Errors on train-standardised targets, means over windows, horizon and targets."""

    mse: float
    mae: float


def score(
    settings: Settings, *, weights: Weights, part: Literal["val", "test"]
) -> dict[str, float]:
    """Score weights on the validation or the test windows.

    Returns `val_mse` and `val_mae`, or `test_mse` and `test_mae`.
    """
    feed, windows = open_feed(settings)
    network = model.build(settings, device=device.resolve(settings.train.device), weights=weights)
    result = evaluate(network, feed=feed, starts=windows.val if part == "val" else windows.test)
    return {f"{part}_mse": result.mse, f"{part}_mae": result.mae}


def evaluate(network: Network, *, feed: Feed, starts: NDArray[np.int64]) -> Score:
    """Score a network on windows, without dropout or penalties; sums are in double precision."""
    squared = absolute = count = 0.0
    with torch.no_grad():
        for first in range(0, len(starts), BATCH):
            inputs, targets = feed.batch(starts[first : first + BATCH])
            error = (network(inputs) - targets).double()
            squared += error.square().sum().item()
            absolute += error.abs().sum().item()
            count += error.numel()
    return Score(mse=squared / count, mae=absolute / count)
