"""The network: a normalisation, stacked LSTM layers, a linear head on the last state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sweep.plan.settings import Settings
from sweep.train import draws
from sweep.train.normalization import LastValue, Normalization, Reversible
from sweep.train.relu import ReluLSTM

Weights = Mapping[str, NDArray[np.floating]]  # by parameter name


@dataclass(frozen=True, slots=True)
class Moment:
    """Where training stands: the key to this step's dropout masks."""

    seed: int
    epoch: int  # from 0
    step: int  # within the epoch, from 0


class Network(nn.Module):
    """Forecast the targets from a window of all columns.

    The layers are separate one-layer LSTMs, because the dropout of a stacked `nn.LSTM` draws from
    a generator that all trials of a process would share. Layout `channel` runs each target alone
    through shared weights and does not see the covariates.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        data, model = settings.data, settings.model
        self.targets = len(data.target)
        self.horizon = data.horizon
        self.alone = data.layout == "channel"
        self.dropout = model.dropout
        self.output_dropout = model.output_dropout
        columns = 1 if self.alone else self.targets + len(data.covariates)
        outputs = 1 if self.alone else self.targets
        self.normalization = _normalization(data.normalization, columns=columns, targets=outputs)
        self.layers = nn.ModuleList(
            _layer(columns if number == 0 else model.hidden_size, settings)
            for number in range(model.num_layers)
        )
        self.head = nn.Linear(model.hidden_size, data.horizon * outputs)

    def forward(self, window: Tensor, *, moment: Moment | None = None) -> Tensor:
        """Map [B, T, C] to [B, F, D]; dropout acts only at a `moment` of training."""
        size = len(window)
        if self.alone:
            window = _alone(window[..., : self.targets])  # [B * D, T, 1]
        state = self.normalization(window)
        last = state
        for number, layer in enumerate(self.layers):
            if number:
                state = _drop(state, rate=self.dropout, site=number, moment=moment)
            state, (hidden, _) = layer(state)  # [B, T, H], [1, B, H]
            last = hidden[0]
        last = _drop(last, rate=self.output_dropout, site=len(self.layers), moment=moment)
        forecast = self.head(last).unflatten(1, (self.horizon, -1))
        forecast = self.normalization.back(forecast, window=window)
        if self.alone:
            return forecast.reshape(size, self.targets, self.horizon).transpose(1, 2)
        return forecast


def build(settings: Settings, *, device: torch.device, weights: Weights | None = None) -> Network:
    """Make a network with the given weights, or with the initial ones of its seed.

    The initial distribution is torch's own for these modules, uniform within 1 / sqrt(H), drawn by
    parameter name: parameters that agree in name and shape start equal in all trials of a seed.
    """
    network = Network(settings).to(dtype=dtype(settings))
    if weights is None:
        _initialise(network, settings)
    else:
        network.load_state_dict({k: torch.tensor(v) for k, v in weights.items()})
    return network.to(device)


def dtype(settings: Settings) -> torch.dtype:
    """Name the floating point type of a configuration."""
    return torch.float64 if settings.train.precision == "float64" else torch.float32


def penalised(network: nn.Module) -> list[nn.Parameter]:
    """Pick the parameters that L1 and L2 act on: matrices, not biases or the normalisation's."""
    return [parameter for parameter in network.parameters() if parameter.ndim > 1]


def exempt(network: nn.Module) -> list[nn.Parameter]:
    """Pick the parameters that L1 and L2 leave alone."""
    return [parameter for parameter in network.parameters() if parameter.ndim <= 1]


def arrays(network: nn.Module) -> dict[str, NDArray[np.floating]]:
    """Copy the weights out as arrays."""
    return {name: p.detach().cpu().numpy().copy() for name, p in network.named_parameters()}


def _layer(inputs: int, settings: Settings) -> nn.Module:
    hidden = settings.model.hidden_size
    if settings.model.activation == "relu":
        return ReluLSTM(inputs, hidden)
    return nn.LSTM(inputs, hidden, batch_first=True)


def _normalization(name: str, *, columns: int, targets: int) -> Normalization:
    if name == "last":
        return LastValue(targets)
    if name == "revin":
        return Reversible(columns, targets=targets)
    return Normalization()


def _initialise(network: Network, settings: Settings) -> None:
    bound = 1 / math.sqrt(settings.model.hidden_size)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith("normalization."):
                continue  # scale 1 and shift 0: the identity
            values = draws.uniform(
                settings.train.seed, name=name, shape=tuple(parameter.shape), bound=bound
            )
            parameter.copy_(torch.from_numpy(values))


def _alone(window: Tensor) -> Tensor:
    size, length, targets = window.shape
    return window.transpose(1, 2).reshape(size * targets, length, 1)


def _drop(x: Tensor, *, rate: float, site: int, moment: Moment | None) -> Tensor:
    if moment is None or rate == 0:
        return x
    kept = draws.kept(
        moment.seed,
        epoch=moment.epoch,
        step=moment.step,
        site=site,
        shape=tuple(x.shape),
        rate=rate,
    )
    share = 1 - draws.dropped_levels(rate) / draws.LEVELS  # so that the mean stays exactly
    return x * torch.from_numpy(kept).to(device=x.device, dtype=x.dtype).div_(share)
