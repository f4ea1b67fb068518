"""Normalise each window by itself, on top of the standardisation by training rows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPSILON = 1e-5  # as in the reference implementation of reversible instance normalisation


class Normalization(nn.Module):
    """Leave windows as they are; the others change them, and change forecasts back."""

    def forward(self, window: Tensor) -> Tensor:
        """Normalise [B, T, C], whose first columns are the targets."""
        return window

    def back(self, forecast: Tensor, *, window: Tensor) -> Tensor:  # noqa: ARG002
        """Bring a forecast [B, F, D] of a normalised window to the scale of that window."""
        return forecast


class LastValue(Normalization):
    """Subtract the last value of each target and add it back (NLinear, Zeng et al., AAAI'23).

    Covariates keep their level: no forecast has to be brought back to it.
    """

    def __init__(self, targets: int) -> None:
        super().__init__()
        self.targets = targets

    def forward(self, window: Tensor) -> Tensor:
        """Subtract from [B, T, C]."""
        targets, covariates = window[..., : self.targets], window[..., self.targets :]
        return torch.cat([targets - targets[:, -1:], covariates], dim=-1)

    def back(self, forecast: Tensor, *, window: Tensor) -> Tensor:
        """Add to [B, F, D]."""
        return forecast + window[:, -1:, : self.targets]


class Reversible(Normalization):
    """Reversible instance normalisation (RevIN, Kim et al., ICLR'22).

    Each column of a window gets mean 0 and standard deviation 1, then a learned scale and shift;
    the forecast goes the way back with the targets' share of them.
    """

    def __init__(self, columns: int, *, targets: int) -> None:
        super().__init__()
        self.targets = targets
        self.scale = nn.Parameter(torch.ones(columns))
        self.shift = nn.Parameter(torch.zeros(columns))

    def forward(self, window: Tensor) -> Tensor:
        """Normalise [B, T, C]."""
        mean, sd = _moments(window)
        return (window - mean) / sd * self.scale + self.shift

    def back(self, forecast: Tensor, *, window: Tensor) -> Tensor:
        """Undo it for [B, F, D]."""
        mean, sd = _moments(window[..., : self.targets])
        scale, shift = self.scale[: self.targets], self.shift[: self.targets]
        return (forecast - shift) / (scale + EPSILON**2) * sd + mean


def _moments(window: Tensor) -> tuple[Tensor, Tensor]:
    mean = window.mean(dim=1, keepdim=True)
    variance = window.var(dim=1, keepdim=True, unbiased=False)
    return mean, torch.sqrt(variance + EPSILON)
