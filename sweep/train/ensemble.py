"""Join networks that differ in their seed alone: their mean forecasts better than most of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sweep.errors import BadInput
from sweep.plan.settings import Settings
from sweep.train import criterion, device, model, predict
from sweep.train.feed import open_feed
from sweep.train.folds import last_fold
from sweep.train.model import Weights
from sweep.train.predict import Predictor, Rows
from sweep.train.score import BATCH


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """Several predictors of one configuration; it answers with the mean of their answers."""

    members: tuple[Predictor, ...]

    def predict(self, rows: Rows) -> NDArray[np.float64]:
        """Average what the members say: forecasts in raw units, or probabilities of classes.

        Raises what they raise.
        """
        found: NDArray[np.float64] = np.mean([item.predict(rows) for item in self.members], axis=0)
        return found

    @property
    def outputs(self) -> list[str]:
        """Name the columns of an answer."""
        return self.members[0].outputs


def load(folder: Path) -> Ensemble:
    """Read the members, each from a folder of its own.

    Raises BadInput where a file is missing or damaged.
    """
    places = sorted(place for place in folder.iterdir() if place.is_dir())
    if not places:
        raise BadInput(f"{folder}: no member of an ensemble; save it again")
    return Ensemble(tuple(map(predict.load, places)))


def score(settings: Settings, *, weights: Sequence[Weights]) -> dict[str, float]:
    """Score the mean of several networks on the test part, as `score.score` does each.

    Forecasts are averaged, of classes the probabilities.
    """
    examples = open_feed(settings, fold=last_fold(settings.data))
    place = device.resolve(settings.train.device)
    networks = [model.build(settings, device=place, weights=each) for each in weights]
    own = criterion.of(settings)
    starts = examples.part("test")
    sums: dict[str, float] = defaultdict(float)
    with torch.no_grad():
        for first in range(0, len(starts), BATCH):
            inputs, targets = examples.feed.batch(starts[first : first + BATCH])
            outputs = [network(inputs) for network in networks]
            joined = _mean_of_classes(outputs) if own.classifies else torch.stack(outputs).mean(0)
            for name, value in own.sums(joined, targets).items():
                sums[name] += value
    return {f"test_{name}": value for name, value in own.mean(sums).items()}


def _mean_of_classes(outputs: Sequence[Tensor]) -> Tensor:
    """Average probabilities, and give them as logits again."""
    chances = torch.stack([criterion.chances(output) for output in outputs]).mean(0)
    logits = chances.clamp_min(torch.finfo(chances.dtype).tiny).log()
    return logits[:, 1:] - logits[:, :1] if outputs[0].shape[1] == 1 else logits
