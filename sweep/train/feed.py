"""Hand windows, sequences or sentences to the network as tensors: to one, or to many at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sweep.plan.settings import Settings
from sweep.train import data, device, labelled, model, shapes
from sweep.train.data import Windows
from sweep.train.folds import Fold
from sweep.train.model import Padded

Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batches:
    """A batch of each of several networks, the lanes of an array."""

    inputs: Tensor  # [K, T, B, C], or [K, T, B] numbers of words
    targets: Tensor  # [K, B, F, D], or [K, B] classes
    lengths: Tensor | None = None  # [K, B]; None: every example has T steps


class Feed(Protocol):
    """Makes batches of examples that are named by number."""

    @property
    def device(self) -> torch.device:
        """Say where the tensors are."""

    @property
    def length(self) -> int:
        """Count the time steps of the longest example."""

    @property
    def first(self) -> int:
        """Name an example that there is, for places of a batch that hold none."""

    def batch(self, starts: Index) -> tuple[Tensor | Padded, Tensor]:
        """Gather inputs and targets."""

    def batches(self, examples: Tensor) -> Batches:
        """Gather examples [K, B], of which those of each lane are a batch."""

    def all_targets(self, starts: Index) -> Tensor:
        """Give every target of the training part, each once."""


@dataclass(frozen=True, slots=True)
class SeriesFeed:
    """The standardised series on the device; windows are gathered from it, never stored."""

    values: Tensor  # [N, C]
    targets: int
    lookback: int
    horizon: int

    @property
    def device(self) -> torch.device:
        """Say where the series is."""
        return self.values.device

    @property
    def length(self) -> int:
        """Count the steps of a window."""
        return self.lookback

    @property
    def first(self) -> int:
        """Name the first window: by the row after its inputs."""
        return self.lookback

    def batch(self, starts: Index) -> tuple[Tensor, Tensor]:
        """Gather the inputs [B, T, C] and targets [B, F, D] of windows by their start rows."""
        index = torch.from_numpy(starts).to(self.values.device)
        inputs = self.values.unfold(0, self.lookback, 1).transpose(1, 2)
        outputs = self.values[:, : self.targets].unfold(0, self.horizon, 1).transpose(1, 2)
        return inputs.index_select(0, index - self.lookback), outputs.index_select(0, index)

    def batches(self, examples: Tensor) -> Batches:
        """Gather windows by the row after their inputs."""
        past = torch.arange(-self.lookback, 0, device=self.device)
        future = torch.arange(self.horizon, device=self.device)
        inputs = self.values[examples.unsqueeze(1) + past[:, None]]
        return Batches(inputs, self.values[examples.unsqueeze(2) + future][..., : self.targets])

    def all_targets(self, starts: Index) -> Tensor:
        """Give the targets' rows [N, D] up to the end of the last training window."""
        return self.values[: int(starts[-1]) + self.horizon, : self.targets]


@dataclass(frozen=True, slots=True)
class LabelledFeed:
    """Padded sequences on the device, each with its class."""

    values: Tensor  # [N, T, C], or [N, T] numbers of words
    lengths: Tensor  # [N]
    labels: Tensor  # [N]

    @property
    def device(self) -> torch.device:
        """Say where the sequences are."""
        return self.values.device

    @property
    def length(self) -> int:
        """Count the steps of the longest sequence."""
        return self.values.shape[1]

    @property
    def first(self) -> int:
        """Name the first sequence."""
        return 0

    def batch(self, starts: Index) -> tuple[Padded, Tensor]:
        """Gather sequences, as wide as the longest of them, and their classes [B]."""
        index = torch.from_numpy(starts).to(self.values.device)
        lengths = self.lengths.index_select(0, index)
        values = self.values[:, : int(lengths.max())].index_select(0, index)
        return Padded(values, lengths), self.labels.index_select(0, index)

    def batches(self, examples: Tensor) -> Batches:
        """Gather sequences, as wide as the longest of all: no lane's width depends on others."""
        steps = torch.arange(self.length, device=self.device)
        inputs = self.values[examples.unsqueeze(1), steps[:, None]]
        return Batches(inputs, self.labels[examples], self.lengths[examples])

    def all_targets(self, starts: Index) -> Tensor:
        """Give the classes [N] of the training part."""
        return self.labels.index_select(0, torch.from_numpy(starts).to(self.values.device))


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """What a trial trains on and is scored on."""

    feed: Feed
    windows: Windows  # numbers of the examples of each part
    hash: str  # of the data, and of what is read of them
    vectors: NDArray[np.float32] | None = None  # [W, E] that words begin with

    def part(self, name: Literal["val", "test"]) -> Index:
        """Name the examples of a part."""
        return self.windows.val if name == "val" else self.windows.test


def open_feed(settings: Settings, *, fold: Fold | None = None) -> Examples:
    """Load the data of a configuration onto its device."""
    place = device.resolve(settings.train.device)
    if settings.data.kind != "series":
        return _labelled(settings, place, fold)
    series = data.load(settings.data, fold=fold)
    feed = SeriesFeed(
        values=torch.tensor(series.values, dtype=model.dtype(settings)).to(place),
        targets=series.targets,
        lookback=settings.data.lookback,
        horizon=settings.data.horizon,
    )
    return Examples(feed, data.windows(series, settings.data), series.hash)


def _labelled(settings: Settings, place: torch.device, fold: Fold | None) -> Examples:
    found = labelled.load(settings.data, fold=fold)
    values, lengths = labelled.newest(found, steps=settings.data.lookback)
    kind = torch.long if settings.data.kind == "text" else model.dtype(settings)
    feed = LabelledFeed(
        values=torch.tensor(values, dtype=kind).to(place),
        lengths=torch.tensor(lengths).to(place),
        labels=torch.tensor(found.labels).to(place),
    )
    vectors = None
    if settings.model.embedding == "glove":
        vectors = labelled.vectors(found.words, rows=shapes.vector_rows(settings))
    return Examples(feed, found.windows, found.hash, vectors)
