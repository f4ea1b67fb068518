"""Say what a network is trained on, and what its outputs are scored by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sweep.plan.rules import CLASSIFYING
from sweep.plan.settings import Settings

Score = Mapping[str, float]  # metric to its mean over examples; forecasts: horizon and targets too


@dataclass(frozen=True, slots=True)
class Criterion:
    """The loss of a configuration, and the metrics that go with it.

    Forecasts: `mse` and `mae` on train-standardised targets; with loss `quantile` also the pinball
    loss, and the errors are those of the quantile nearest to the median. Classes: the loss with
    its class weights, `error` (the share that is told wrong) and `accuracy`, both without weights.
    """

    kind: str
    quantiles: tuple[float, ...] = ()
    weights: tuple[float, ...] | None = None  # one a class

    @property
    def classifies(self) -> bool:
        """Tell whether outputs are logits of classes."""
        return self.kind in CLASSIFYING

    @property
    def objective(self) -> str:
        """Name the metric that configurations are ranked by; less is better."""
        return "error" if self.classifies else self.kind

    def loss(self, output: Tensor, targets: Tensor) -> Tensor:
        """Average the loss over a batch."""
        if self.classifies:
            return self._of_classes(output, targets).mean()
        if self.kind == "quantile":
            return self._pinball(output, targets).mean()
        error = output - targets
        return error.abs().mean() if self.kind == "mae" else error.square().mean()

    def sums(self, output: Tensor, targets: Tensor) -> dict[str, float]:
        """Add up each metric over a batch, and `count` what was added, in double precision."""
        if self.classifies:
            wrong = float((told(output) != targets).sum().item())
            loss = self._of_classes(output.double(), targets).sum().item()
            return {"count": len(targets), self.kind: loss, "error": wrong}
        error = (self.point(output) - targets).double()
        found = {
            "count": error.numel(),
            "mse": error.square().sum().item(),
            "mae": error.abs().sum().item(),
        }
        if self.kind == "quantile":
            pinball = self._pinball(output.double(), targets.double())
            found["quantile"] = pinball.mean(dim=-1).sum().item()
        return found

    def mean(self, sums: Mapping[str, float]) -> Score:
        """Turn sums over all batches into means."""
        count = sums["count"]
        found = {name: value / count for name, value in sums.items() if name != "count"}
        return found | {"accuracy": 1 - found["error"]} if self.classifies else found

    def each(self, output: Tensor, targets: Tensor) -> NDArray[np.float64]:
        """Give the objective of each example of a batch, [B]; of a classifier 0 or 1."""
        if self.classifies:
            wrong: NDArray[np.float64] = (told(output) != targets).double().cpu().numpy()
            return wrong
        if self.kind == "quantile":
            error = self._pinball(output.double(), targets.double())
        else:
            difference = (output - targets).double()
            error = difference.abs() if self.kind == "mae" else difference.square()
        found: NDArray[np.float64] = error.flatten(1).mean(dim=1).cpu().numpy()
        return found

    def of_a_constant(self, targets: Tensor) -> float:
        """Score what needs no input: the mean of the training rows, or the classes' shares.

        The mean is 0, for targets are standardised; so are the quantiles taken to be.
        """
        if not self.classifies:
            output = torch.zeros_like(targets)
            if self.kind == "quantile":
                output = output[..., None].expand(*targets.shape, len(self.quantiles))
            return self.loss(output, targets).item()
        counts = torch.bincount(targets, minlength=2).double()
        shares = torch.log(counts / counts.sum())
        if self.kind == "bce":
            return self.loss((shares[1:] - shares[:1]).expand(len(targets), 1), targets).item()
        return self.loss(shares.expand(len(targets), -1), targets).item()

    def point(self, output: Tensor) -> Tensor:
        """Give the one forecast [B, F, D] that errors are measured of."""
        return output[..., self.middle] if self.kind == "quantile" else output

    @property
    def middle(self) -> int:
        """Tell which quantile is nearest to the median."""
        return middle_of(self.quantiles)

    def _of_classes(self, output: Tensor, targets: Tensor) -> Tensor:
        if self.kind == "bce":
            wanted = targets.to(output.dtype)
            loss = functional.binary_cross_entropy_with_logits(
                output[:, 0], wanted, reduction="none"
            )
        else:
            loss = functional.cross_entropy(output, targets, reduction="none")
        if self.weights is None:
            return loss
        return loss * torch.tensor(self.weights, dtype=loss.dtype, device=loss.device)[targets]

    def _pinball(self, output: Tensor, targets: Tensor) -> Tensor:
        levels = torch.tensor(self.quantiles, dtype=output.dtype, device=output.device)
        return pinball(output, targets, levels=levels)


def of(settings: Settings) -> Criterion:
    """Read the criterion of a configuration."""
    options = settings.train
    return Criterion(
        kind=options.loss,
        quantiles=tuple(options.quantiles) if options.loss == "quantile" else (),
        weights=None if options.class_weights is None else tuple(options.class_weights),
    )


def pinball(output: Tensor, targets: Tensor, *, levels: Tensor) -> Tensor:
    """Map quantiles [..., Q] and targets [...] to losses [..., Q] (Koenker & Bassett 1978)."""
    error = targets[..., None] - output
    return torch.maximum(levels * error, (levels - 1) * error)


def middle_of(quantiles: Sequence[float]) -> int:
    """Tell which quantile is nearest to the median."""
    away = [abs(quantile - 0.5) for quantile in quantiles]
    return away.index(min(away))


def told(output: Tensor) -> Tensor:
    """Tell the class [...] from logits: of two classes [..., 1], else [..., K]."""
    if output.shape[-1] == 1:
        return (output[..., 0] > 0).long()
    return output.argmax(dim=-1)


def chances(output: Tensor) -> Tensor:
    """Turn logits into the probabilities [B, K] of all classes."""
    if output.shape[1] == 1:
        second = torch.sigmoid(output)
        return torch.cat([1 - second, second], dim=1)
    return torch.softmax(output, dim=1)
