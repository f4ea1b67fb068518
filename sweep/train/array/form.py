"""Say what the trials of one array have in common, and where each parameter lies in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sweep.plan.rules import CLASSIFYING
from sweep.plan.settings import Optim, Settings, Tracking, Train
from sweep.train.model import Network, bears

PRECISIONS = {  # of weights, and of what is multiplied
    "float64": (torch.float64, torch.float64),
    "float32": (torch.float32, torch.float32),
    "tf32": (torch.float32, torch.float32),
    "bfloat16": (torch.float32, torch.bfloat16),
}


@dataclass(frozen=True, slots=True)
class Place:
    """One parameter's place in a lane's row of weights."""

    name: str
    shape: tuple[int, ...]
    start: int
    stop: int
    index: int  # as torch's optimiser numbers it: those that L1 and L2 act on come first

    @property
    def penalised(self) -> bool:
        """Tell whether L1 and L2 act on it."""
        return bears(self.name, self.shape)


@dataclass(frozen=True, slots=True)
class Form:
    """The network that all lanes have, each with weights of its own."""

    layers: int
    hidden: int
    columns: int  # inputs of the first layer
    targets: int
    horizon: int
    batch: int  # examples a step
    alone: bool  # each target by itself, through shared weights
    normalization: str
    segment: int  # time steps that are one input of the first layer
    embedded: bool  # inputs are numbers of words
    bidirectional: bool
    pooling: str
    loss: str  # mse stands for mae, too
    classes: int
    quantiles: int  # 0: the forecast is one number
    precision: str
    places: tuple[Place, ...]

    @property
    def size(self) -> int:
        """Count the parameters of one lane."""
        return self.places[-1].stop

    @property
    def classifies(self) -> bool:
        """Tell whether outputs are logits of classes."""
        return self.loss in CLASSIFYING

    @property
    def state(self) -> int:
        """Count the numbers of a layer's state, of both directions."""
        return self.hidden * (2 if self.bidirectional else 1)

    @property
    def dtype(self) -> torch.dtype:
        """Name the type of weights, optimiser and sums."""
        return PRECISIONS[self.precision][0]

    @property
    def factors(self) -> torch.dtype:
        """Name the type of what is multiplied."""
        return PRECISIONS[self.precision][1]

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Give each parameter's shape."""
        return {place.name: place.shape for place in self.places}

    def rows(self, examples: int) -> int:
        """Count the sequences that so many examples make."""
        return examples * self.targets if self.alone else examples

    def views(self, weights: Tensor) -> dict[str, Tensor]:
        """See rows of weights [K, P] as parameters by name, [K, *shape]."""
        return {
            place.name: weights[:, place.start : place.stop].view(len(weights), *place.shape)
            for place in self.places
        }

    def penalised(self) -> NDArray[np.float64]:
        """Mark in a row [P] the weights that L1 and L2 act on, by 1."""
        marks = np.zeros(self.size)
        for place in self.places:
            marks[place.start : place.stop] = place.penalised
        return marks

    def join(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Lay parameters into one row [P]."""
        return np.concatenate([arrays[place.name].reshape(-1) for place in self.places])

    def split(self, row: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Take a row [P] apart into parameters by name."""
        return {
            place.name: row[place.start : place.stop].reshape(place.shape) for place in self.places
        }


def form_of(settings: Settings) -> Form:
    """Lay out the network of a configuration."""
    data, model, train = settings.data, settings.model, settings.train
    with torch.device("meta"):
        network = Network(settings)
    shapes = {name: tuple(p.shape) for name, p in network.named_parameters()}
    order = sorted(shapes, key=lambda name: not bears(name, shapes[name]))  # stable
    numbers = {name: index for index, name in enumerate(order)}
    places: list[Place] = []
    start = 0
    for name, shape in shapes.items():
        stop = start + math.prod(shape)
        places.append(Place(name, shape, start, stop, numbers[name]))
        start = stop
    return Form(
        layers=model.num_layers,
        hidden=model.hidden_size,
        columns=shapes["layers.0.weight_ih_l0"][1],
        targets=len(data.target),
        horizon=data.horizon,
        batch=train.batch_size,
        alone=data.layout == "channel",
        normalization=data.normalization,
        segment=model.segment or 1,
        embedded=model.embedding is not None,
        bidirectional=model.bidirectional,
        pooling=model.pooling,
        loss=_alike(train).loss,
        classes=len(data.classes),
        quantiles=len(_alike(train).quantiles),
        precision=train.precision,
        places=tuple(places),
    )


def common(settings: Settings) -> Settings:
    """Put to one value what may differ from lane to lane: equal for trials of one array."""
    return replace(
        settings,
        model=replace(settings.model, dropout=0.0, output_dropout=0.0, activation="tanh"),
        optim=Optim(),
        train=_alike(settings.train),
        tracking=Tracking(),
    )


def _alike(train: Train) -> Train:
    """Keep of a loss what decides about the outputs: not mse or mae, nor which quantiles."""
    count = len(train.quantiles) if train.loss == "quantile" else 0
    return replace(
        train,
        epochs=1,
        patience=None,
        min_delta=0.0,
        seed=0,
        loss="mse" if train.loss == "mae" else train.loss,
        quantiles=[0.0] * count,
        class_weights=None,
    )
