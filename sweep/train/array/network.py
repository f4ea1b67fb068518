"""Forecast for all lanes at once, each with weights of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sweep.train.array.form import Form
from sweep.train.array.recurrence import Engine, Layer, run
from sweep.train.normalization import EPSILON

BLOCK = 16  # time steps whose projections are held at a time where no gradient is wanted

Weights = Mapping[str, Tensor]  # parameter name to [K, *shape]
Drop = Callable[[int, Tensor], Tensor]  # site and states to states with some of them dropped


@dataclass(frozen=True, slots=True)
class Source:
    """The standardised series on the device; the windows of all lanes are gathered from it."""

    values: Tensor  # [N, C]
    targets: int
    lookback: int
    horizon: int

    def batch(self, starts: Tensor) -> tuple[Tensor, Tensor]:
        """Gather inputs [K, T, B, C] and targets [K, B, F, D] by start rows [K, B]."""
        device = starts.device
        past = torch.arange(-self.lookback, 0, device=device)
        future = torch.arange(self.horizon, device=device)
        inputs = self.values[starts.unsqueeze(1) + past[:, None]]
        return inputs, self.values[starts.unsqueeze(2) + future][..., : self.targets]


def forecast(
    form: Form, weights: Weights, window: Tensor, *, relu: Tensor, drop: Drop, engine: Engine
) -> Tensor:
    """Map [K, T, B, C] to [K, B, F, D], in a form that a gradient can be taken of."""
    window = _arranged(form, window)
    state = _segmented(form, _normalise(form, weights, window)).to(form.factors)
    last = state
    for number in range(form.layers):
        if number:
            state = drop(number, state)
        state, last = Layer.apply(state, *layer(weights, number), relu, engine)  # type: ignore[no-untyped-call]
    last = drop(form.layers, last.unsqueeze(1))[:, 0]
    return _read(form, weights, last, window)


def foresee(
    form: Form, weights: Weights, window: Tensor, *, relu: Tensor, engine: Engine
) -> Tensor:
    """As `forecast`, without dropout, and without keeping what a gradient needs."""
    window = _arranged(form, window)
    state = _segmented(form, _normalise(form, weights, window)).to(form.factors)
    lanes, length, rows = len(relu), state.shape[1], state.shape[2]
    state = state.expand(lanes, -1, -1, -1)
    nothing = torch.zeros(lanes, rows, form.hidden, dtype=form.dtype, device=window.device)
    begun = [(nothing.to(form.factors), nothing)] * form.layers
    for first in range(0, length, BLOCK):
        part = state[:, first : first + BLOCK]
        for number in range(form.layers):
            states = run(
                part, layer(weights, number), relu=relu, begun=begun[number], engine=engine
            )
            begun[number] = states.h[:, -1].contiguous(), states.c[:, -1].contiguous()
            part = states.h
    return _read(form, weights, begun[-1][0], window)


def layer(weights: Weights, number: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pick one layer's parameters."""
    name = f"layers.{number}."
    return (
        weights[f"{name}weight_ih_l0"],
        weights[f"{name}weight_hh_l0"],
        weights[f"{name}bias_ih_l0"],
        weights[f"{name}bias_hh_l0"],
    )


def _arranged(form: Form, window: Tensor) -> Tensor:
    if not form.alone:
        return window
    lanes, length, size, _ = window.shape
    return window[..., : form.targets].reshape(lanes, length, size * form.targets, 1)


def _targets(form: Form) -> int:
    return 1 if form.alone else form.targets


def _normalise(form: Form, weights: Weights, window: Tensor) -> Tensor:
    if form.normalization == "last":
        targets = _targets(form)
        own, rest = window[..., :targets], window[..., targets:]
        return torch.cat([own - own[:, -1:], rest], dim=-1)
    if form.normalization == "revin":
        mean, sd = _moments(window)
        scale, shift = weights["normalization.scale"], weights["normalization.shift"]
        return (window - mean) / sd * scale[:, None, None] + shift[:, None, None]
    return window


def _segmented(form: Form, window: Tensor) -> Tensor:
    """Join the time steps of each segment of [K, T, B, C] into one input, step after step."""
    if form.segment == 1:
        return window
    lanes, _, rows, columns = window.shape
    parts = window.reshape(lanes, form.length, form.segment, rows, columns).transpose(2, 3)
    return parts.reshape(lanes, form.length, rows, form.segment * columns)


def _read(form: Form, weights: Weights, last: Tensor, window: Tensor) -> Tensor:
    """Take the forecast [K, B, F, D] from the last states [K, R, H]."""
    head, bias = weights["head.weight"].to(form.factors), weights["head.bias"].to(form.factors)
    found = torch.baddbmm(bias.unsqueeze(1), last, head.transpose(1, 2)).to(form.dtype)
    found = found.view(*found.shape[:2], form.horizon, -1)  # [K, R, F, D]
    targets = _targets(form)
    if form.normalization == "last":
        found = found + window[:, -1, :, None, :targets]
    if form.normalization == "revin":
        mean, sd = (each[:, 0, :, None] for each in _moments(window[..., :targets]))
        scale = weights["normalization.scale"][:, None, None, :targets]
        shift = weights["normalization.shift"][:, None, None, :targets]
        found = (found - shift) / (scale + EPSILON**2) * sd + mean
    if form.alone:
        return found.reshape(len(found), -1, form.targets, form.horizon).transpose(2, 3)
    return found


def _moments(window: Tensor) -> tuple[Tensor, Tensor]:
    mean = window.mean(dim=1, keepdim=True)
    variance = window.var(dim=1, keepdim=True, unbiased=False)
    return mean, torch.sqrt(variance + EPSILON)
