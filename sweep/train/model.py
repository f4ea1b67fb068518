"""The network: an input stage, stacked LSTM layers, a pooled state, a linear head."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sweep.plan.settings import Settings
from sweep.train import draws
from sweep.train.normalization import LastValue, Normalization, Reversible
from sweep.train.relu import ReluLSTM
from sweep.train.shapes import (
    head_outputs,
    input_columns,
    layer_inputs,
    state_size,
    vector_rows,
)

Weights = Mapping[str, NDArray[np.floating]]  # by parameter name
SPREAD = 0.25  # of a word's first numbers, about that of trained vectors (Kim, EMNLP'14)


@dataclass(frozen=True, slots=True)
class Moment:
    """Where training stands: the key to this step's dropout masks."""

    seed: int
    epoch: int  # from 0
    step: int  # within the epoch, from 0


@dataclass(frozen=True, slots=True)
class Padded:
    """Sequences of several lengths in one tensor; what stands beyond a length has no effect."""

    values: Tensor  # [B, T, C], or [B, T] numbers of words
    lengths: Tensor  # [B], at least 1


class Network(nn.Module):
    """Map windows to forecasts, or sequences and texts to what their class is told from.

    The layers are separate one-layer LSTMs, because the dropout of a stacked `nn.LSTM` draws from
    a generator that all trials of a process would share. Layout `channel` runs each target alone
    through shared weights and does not see the covariates. With `segment` the first layer reads
    so many time steps at once (SegRNN, Lin et al. 2023, encodes so).
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        data, model = settings.data, settings.model
        self.targets = len(data.target)
        self.horizon = data.horizon
        self.alone = data.layout == "channel"
        self.classifies = model.head != "linear"
        self.quantiles = len(settings.train.quantiles) if settings.train.loss == "quantile" else 0
        self.dropout = model.dropout
        self.output_dropout = model.output_dropout
        self.pooling = model.pooling
        self.segment = model.segment
        columns = input_columns(settings)
        outputs = 1 if self.alone else self.targets
        self.normalization = _normalization(data.normalization, columns=columns, targets=outputs)
        self.embedding = None
        if model.embedding is not None:
            self.embedding = nn.Embedding(vector_rows(settings), model.embedding_size)
        self.layers = _layers(settings)
        self.backward_layers = _layers(settings) if model.bidirectional else None
        self.head = nn.Linear(state_size(settings), head_outputs(settings))

    def forward(self, inputs: Tensor | Padded, *, moment: Moment | None = None) -> Tensor:
        """Map windows [B, T, C] to forecasts [B, F, D], or [B, F, D, Q] of quantiles.

        Of a classifier: sequences to logits [B, K], of two classes [B, 1]. Dropout acts only at a
        `moment` of training.
        """
        window, lengths = inputs, None
        if isinstance(inputs, Padded):
            window, lengths = inputs.values, inputs.lengths
        assert isinstance(window, Tensor)
        size = len(window)
        if self.alone:
            window = _alone(window[..., : self.targets])  # [B * D, T, 1]
        state = self.normalization(window) if self.embedding is None else self.embedding(window)
        if self.segment is not None:
            state = state.reshape(
                len(state), -1, self.segment * state.shape[2]
            )  # [B, T / S, S * C]
        pooled = self._pooled(state, lengths=lengths, moment=moment)
        pooled = _drop(pooled, rate=self.output_dropout, site=len(self.layers), moment=moment)
        result: Tensor = self.head(pooled)
        if self.classifies:
            return result
        result = self._back(result, window=window)
        if self.alone:
            shape = (size, self.targets, self.horizon, *result.shape[3:])
            return result.reshape(shape).transpose(1, 2)
        return result

    def _pooled(self, state: Tensor, *, lengths: Tensor | None, moment: Moment | None) -> Tensor:
        last = state
        for number, layer in enumerate(self.layers):
            if number:
                state = _drop(state, rate=self.dropout, site=number, moment=moment)
            ahead, (hidden, _) = layer(state)  # [B, T, H], [1, B, H]
            last = hidden[0] if lengths is None else _at(ahead, lengths - 1)
            if self.backward_layers is not None:
                behind, (hidden, _) = self.backward_layers[number](_reverse(state, lengths))
                first = hidden[0] if lengths is None else _at(behind, lengths - 1)
                last = torch.cat([last, first], dim=-1)
                ahead = torch.cat([ahead, _reverse(behind, lengths)], dim=-1)
            state = ahead
        return last if self.pooling == "last" else _over_time(state, lengths, how=self.pooling)

    def _back(self, result: Tensor, *, window: Tensor) -> Tensor:
        if not self.quantiles:
            result = result.reshape(len(result), self.horizon, -1)
            return self.normalization.back(result, window=window)
        each = result.reshape(len(result), self.horizon, -1, self.quantiles).unbind(-1)
        return torch.stack([self.normalization.back(q, window=window) for q in each], dim=-1)


def build(
    settings: Settings,
    *,
    device: torch.device,
    weights: Weights | None = None,
    vectors: NDArray[np.floating] | None = None,
) -> Network:
    """Make a network with the given weights, or with the initial ones of its seed.

    The initial distribution is torch's own for these modules, uniform within 1 / sqrt(H), drawn by
    parameter name: parameters that agree in name and shape start equal in all trials of a seed.
    `vectors` [W, E] are what words begin with; a row that is not a number is drawn.
    """
    network = Network(settings).to(dtype=dtype(settings))
    if weights is None:
        _initialise(network, settings, vectors)
    else:
        network.load_state_dict({k: torch.tensor(v) for k, v in weights.items()})
    return network.to(device)


def dtype(settings: Settings) -> torch.dtype:
    """Name the floating point type of a configuration."""
    return torch.float64 if settings.train.precision == "float64" else torch.float32


def penalised(network: nn.Module) -> list[nn.Parameter]:
    """Pick the parameters that L1 and L2 act on: matrices of layers and head.

    Not biases, nor the normalisation's; nor vectors of words, most of which no batch holds: they
    would only be pulled to zero.
    """
    return [
        parameter for name, parameter in network.named_parameters() if bears(name, parameter.shape)
    ]


def exempt(network: nn.Module) -> list[nn.Parameter]:
    """Pick the parameters that L1 and L2 leave alone."""
    return [
        parameter
        for name, parameter in network.named_parameters()
        if not bears(name, parameter.shape)
    ]


def bears(name: str, shape: Sequence[int]) -> bool:
    """Tell whether L1 and L2 act on a parameter."""
    return len(shape) > 1 and not name.startswith("embedding.")


def arrays(network: nn.Module) -> dict[str, NDArray[np.floating]]:
    """Copy the weights out as arrays."""
    return {name: p.detach().cpu().numpy().copy() for name, p in network.named_parameters()}


def _layers(settings: Settings) -> nn.ModuleList:
    return nn.ModuleList(_layer(inputs, settings) for inputs in layer_inputs(settings))


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


def _initialise(network: Network, settings: Settings, vectors: NDArray[np.floating] | None) -> None:
    bound = 1 / math.sqrt(settings.model.hidden_size)
    seed = settings.train.seed
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith("normalization."):
                continue  # scale 1 and shift 0: the identity
            own = SPREAD if name.startswith("embedding.") else bound
            values = draws.uniform(seed, name=name, shape=tuple(parameter.shape), bound=own)
            if name.startswith("embedding.") and vectors is not None:
                values = np.where(np.isnan(vectors), values, vectors)
            parameter.copy_(torch.from_numpy(values))


def _alone(window: Tensor) -> Tensor:
    size, length, targets = window.shape
    return window.transpose(1, 2).reshape(size * targets, length, 1)


def _at(states: Tensor, places: Tensor) -> Tensor:
    """Pick one time step [B] of each sequence [B, T, H]."""
    return states[torch.arange(len(states), device=states.device), places]


def _reverse(states: Tensor, lengths: Tensor | None) -> Tensor:
    """Turn each sequence [B, T, C] round within its own length."""
    if lengths is None:
        return states.flip(1)
    place = torch.arange(states.shape[1], device=states.device)[None]  # [1, T]
    ends = lengths[:, None]
    mirrored = torch.where(place < ends, ends - 1 - place, place)
    return states.gather(1, mirrored[..., None].expand_as(states))


def _over_time(states: Tensor, lengths: Tensor | None, *, how: str) -> Tensor:
    if lengths is None:
        return states.amax(dim=1) if how == "max" else states.mean(dim=1)
    inside = torch.arange(states.shape[1], device=states.device)[None] < lengths[:, None]
    if how == "max":
        return states.masked_fill(~inside[..., None], -math.inf).amax(dim=1)
    total = (states * inside[..., None]).sum(dim=1)
    return total / lengths[:, None].to(states.dtype)


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
