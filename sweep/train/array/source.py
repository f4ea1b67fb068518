"""Hold the examples on the device once, and gather the batches of all lanes from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sweep.train.feed import Feed, LabelledFeed, SeriesFeed


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples of each lane."""

    inputs: Tensor  # [K, T, B, C], or [K, T, B] numbers of words
    targets: Tensor  # [K, B, F, D], or [K, B] classes
    lengths: Tensor | None = None  # [K, B]; None: every example has T steps


class Source(Protocol):
    """Gathers examples, which are named by number."""

    @property
    def device(self) -> torch.device:
        """Say where the tensors are."""

    @property
    def length(self) -> int:
        """Count the time steps of the longest example."""

    @property
    def first(self) -> int:
        """Name an example that there is, for places of a batch that hold none."""

    def batch(self, examples: Tensor) -> Batch:
        """Gather examples [K, B]."""


@dataclass(frozen=True, slots=True)
class Series:
    """A standardised series; an example is a window, named by the row after its inputs."""

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
        """Name the first window."""
        return self.lookback

    def batch(self, examples: Tensor) -> Batch:
        """Gather windows."""
        past = torch.arange(-self.lookback, 0, device=self.device)
        future = torch.arange(self.horizon, device=self.device)
        inputs = self.values[examples.unsqueeze(1) + past[:, None]]
        return Batch(inputs, self.values[examples.unsqueeze(2) + future][..., : self.targets])


@dataclass(frozen=True, slots=True)
class Labelled:
    """Padded sequences of numbers or words, each with its class.

    A batch is always as wide as the longest of all: its width must not depend on what is in it.
    """

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

    def batch(self, examples: Tensor) -> Batch:
        """Gather sequences."""
        steps = torch.arange(self.length, device=self.device)
        inputs = self.values[examples.unsqueeze(1), steps[:, None]]
        return Batch(inputs, self.labels[examples], self.lengths[examples])


def source_of(feed: Feed) -> Source:
    """Take over what a feed has on the device."""
    if isinstance(feed, LabelledFeed):
        return Labelled(feed.values, feed.lengths, feed.labels)
    assert isinstance(feed, SeriesFeed)
    return Series(feed.values, feed.targets, feed.lookback, feed.horizon)
