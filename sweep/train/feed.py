"""Hand windows of a series to the network as tensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sweep.plan.settings import Settings
from sweep.train import data, device, model


@dataclass(frozen=True, slots=True)
class Feed:
    """The standardised series on the device; windows are gathered from it, never stored."""

    values: Tensor  # [N, C]
    targets: int
    lookback: int
    horizon: int

    def batch(self, starts: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Gather the inputs [B, T, C] and targets [B, F, D] of windows by their start rows."""
        index = torch.from_numpy(starts).to(self.values.device)
        inputs = self.values.unfold(0, self.lookback, 1).transpose(1, 2)
        outputs = self.values[:, : self.targets].unfold(0, self.horizon, 1).transpose(1, 2)
        return inputs.index_select(0, index - self.lookback), outputs.index_select(0, index)


def open_feed(settings: Settings) -> tuple[Feed, data.Windows]:
    """Load the data of a configuration onto its device."""
    series = data.load(settings.data)
    values = torch.tensor(series.values, dtype=model.dtype(settings))
    feed = Feed(
        values=values.to(device.resolve(settings.train.device)),
        targets=series.targets,
        lookback=settings.data.lookback,
        horizon=settings.data.horizon,
    )
    return feed, data.windows(series, settings.data)
