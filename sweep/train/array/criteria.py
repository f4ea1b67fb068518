"""Take the loss of every lane by the lane's own numbers, and add up what it is scored by.

As `sweep.train.criterion`, for outputs and targets that have the lanes in front.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from sweep.plan.settings import Settings
from sweep.train.array.form import Form
from sweep.train.criterion import middle_of, pinball, told

Lanes = Sequence[Settings | None]  # None: a lane at rest


class Criterion(Protocol):
    """Losses and metrics of all lanes."""

    @property
    def names(self) -> tuple[str, ...]:
        """Name the metrics."""

    def begin(self, lanes: Lanes) -> None:
        """Write each lane's own numbers into the tables."""

    def losses(self, output: Tensor, targets: Tensor) -> Tensor:
        """Average the loss of each example, [K, B]."""

    def sums(self, output: Tensor, targets: Tensor) -> Tensor:
        """Add up the metrics over the examples, [M, K], in double precision; an example's mean."""


class Errors:
    """Squared or absolute errors of forecasts [K, B, F, D]."""

    names = ("mse", "mae")

    def __init__(self, *, lanes: int, device: torch.device) -> None:
        self._absolute = torch.zeros(lanes, dtype=torch.bool, device=device)

    def begin(self, lanes: Lanes) -> None:
        """Write whose errors are absolute."""
        own = [each is not None and each.train.loss == "mae" for each in lanes]
        self._absolute.copy_(torch.tensor(own))

    def losses(self, output: Tensor, targets: Tensor) -> Tensor:
        """Average over horizon and targets."""
        error = output - targets
        mean = torch.where(self._absolute[:, None, None, None], error.abs(), error.square())
        return mean.mean((2, 3))

    def sums(self, output: Tensor, targets: Tensor) -> Tensor:
        """Add up both errors."""
        error = (output - targets).double()
        return _added(error.square(), error.abs())


class Quantiles:
    """Pinball losses of quantiles [K, B, F, D, Q], each lane's at its own levels."""

    names = ("mse", "mae", "quantile")

    def __init__(self, count: int, *, lanes: int, device: torch.device) -> None:
        self._levels = torch.full((lanes, count), 0.5, dtype=torch.float64, device=device)
        self._middle = torch.zeros(lanes, dtype=torch.int64, device=device)

    def begin(self, lanes: Lanes) -> None:
        """Write the levels."""
        for lane, own in enumerate(lanes):
            if own is not None:
                self._levels[lane] = torch.tensor(own.train.quantiles, dtype=torch.float64)
                self._middle[lane] = middle_of(own.train.quantiles)

    def losses(self, output: Tensor, targets: Tensor) -> Tensor:
        """Average over horizon, targets and quantiles."""
        return self._pinball(output, targets).mean((2, 3, 4))

    def sums(self, output: Tensor, targets: Tensor) -> Tensor:
        """Add up the errors of the quantile nearest to the median, and the pinball loss."""
        place = self._middle[:, None, None, None, None].expand(*output.shape[:-1], 1)
        error = (output.gather(-1, place)[..., 0] - targets).double()
        exact = self._pinball(output.double(), targets.double()).mean(-1)
        return _added(error.square(), error.abs(), exact)

    def _pinball(self, output: Tensor, targets: Tensor) -> Tensor:
        return pinball(output, targets, levels=self._levels[:, None, None, None].to(output.dtype))


class Classes:
    """Losses of logits [K, B, C], or [K, B, 1] of two classes, with each lane's class weights."""

    def __init__(self, loss: str, *, classes: int, lanes: int, device: torch.device) -> None:
        self.names = (loss, "error")
        self._of = OF_LOGITS[loss]
        self._weights = torch.ones(lanes, classes, dtype=torch.float64, device=device)

    def begin(self, lanes: Lanes) -> None:
        """Write the weights."""
        for lane, own in enumerate(lanes):
            weights = None if own is None else own.train.class_weights
            if weights is None:
                self._weights[lane] = 1.0
            else:
                self._weights[lane] = torch.tensor(weights, dtype=torch.float64)

    def losses(self, output: Tensor, targets: Tensor) -> Tensor:
        """Give the weighted loss of each example."""
        return self._of(output, targets) * self._weights.to(output.dtype).gather(1, targets)

    def sums(self, output: Tensor, targets: Tensor) -> Tensor:
        """Add up the weighted loss, and count what is told wrong."""
        targets = targets.expand(len(output), -1)
        return _added(self.losses(output.double(), targets), (told(output) != targets).double())


def criterion_of(form: Form, *, lanes: int, device: torch.device) -> Criterion:
    """Make the criterion of a form, for so many lanes that are at rest yet."""
    if form.classifies:
        return Classes(form.loss, classes=form.classes, lanes=lanes, device=device)
    if form.loss == "quantile":
        return Quantiles(form.quantiles, lanes=lanes, device=device)
    return Errors(lanes=lanes, device=device)


def _binary(output: Tensor, targets: Tensor) -> Tensor:
    # As two classes, one of which has logit 0: row by row, so that the last digits of a lane do not
    # depend on where its elements lie among those of all lanes, as those of a sigmoid do on a CPU.
    return _several(torch.cat([torch.zeros_like(output), output], dim=-1), targets)


def _several(output: Tensor, targets: Tensor) -> Tensor:
    flat = functional.cross_entropy(output.flatten(0, 1), targets.flatten(), reduction="none")
    return flat.view(targets.shape)


OF_LOGITS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "bce": _binary,
    "cross_entropy": _several,
}


def _added(*metrics: Tensor) -> Tensor:
    """Add up [K, B, ...], an example's mean at a time."""
    means = [metric.flatten(2).mean(2) if metric.ndim > 2 else metric for metric in metrics]
    return torch.stack([mean.sum(1) for mean in means])
