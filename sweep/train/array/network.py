"""Give the outputs of all lanes at once, each with weights of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from sweep.train.array.form import Form
from sweep.train.array.pooling import Pool, pooled, turned
from sweep.train.array.recurrence import Engine, Layer, multiply_and_add, run
from sweep.train.array.words import Lookup
from sweep.train.feed import Batches
from sweep.train.normalization import EPSILON

BLOCK = 16  # time steps whose projections are held at a time where no gradient is wanted

Weights = Mapping[str, Tensor]  # parameter name to [K, *shape]
Drop = Callable[[int, Tensor], Tensor]  # site and states to states with some of them dropped


def outputs(
    form: Form, weights: Weights, batch: Batches, *, relu: Tensor, drop: Drop, engine: Engine
) -> Tensor:
    """Give forecasts [K, B, F, D] or [K, B, F, D, Q], or logits [K, B, C].

    In a form that a gradient can be taken of.
    """
    window, state = _inputs(form, weights, batch)
    state = state.expand(len(relu), -1, -1, -1)
    lengths = batch.lengths
    last = state
    for number in range(form.layers):
        if number:
            state = drop(number, state)
        ahead, last = Layer.apply(state, *layer(weights, number), relu, engine)  # type: ignore[no-untyped-call]
        if form.bidirectional:
            behind, _ = Layer.apply(  # type: ignore[no-untyped-call]
                turned(state, lengths), *layer(weights, number, "backward_layers"), relu, engine
            )
            ahead = torch.cat([ahead, turned(behind, lengths)], dim=-1)
        state = ahead
    if form.pooling != "last" or lengths is not None or form.bidirectional:
        last = pooled(form, state, lengths)
    last = drop(form.layers, last.unsqueeze(1))[:, 0]
    return _read(form, weights, last, window)


def scored(form: Form, weights: Weights, batch: Batches, *, relu: Tensor, engine: Engine) -> Tensor:
    """As `outputs`, without dropout, and without keeping what a gradient needs."""
    if form.bidirectional:  # the second direction needs all that the first gave
        return outputs(form, weights, batch, relu=relu, drop=_nothing, engine=engine)
    window, state = _inputs(form, weights, batch)
    lanes, length, rows = len(relu), state.shape[1], state.shape[2]
    state = state.expand(lanes, -1, -1, -1)
    nothing = torch.zeros(lanes, rows, form.hidden, dtype=form.dtype, device=state.device)
    begun = [(nothing.to(form.factors), nothing)] * form.layers
    pool = Pool(form, batch.lengths)
    for first in range(0, length, BLOCK):
        part = state[:, first : first + BLOCK]
        for number in range(form.layers):
            states = run(
                part, layer(weights, number), relu=relu, begun=begun[number], engine=engine
            )
            begun[number] = states.h[:, -1].contiguous(), states.c[:, -1].contiguous()
            part = states.h
        pool.add(part)
    return _read(form, weights, pool.state(), window)


def layer(
    weights: Weights, number: int, layers: str = "layers"
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pick one layer's parameters."""
    name = f"{layers}.{number}."
    return (
        weights[f"{name}weight_ih_l0"],
        weights[f"{name}weight_hh_l0"],
        weights[f"{name}bias_ih_l0"],
        weights[f"{name}bias_hh_l0"],
    )


def _nothing(_site: int, states: Tensor) -> Tensor:
    return states


def _inputs(form: Form, weights: Weights, batch: Batches) -> tuple[Tensor, Tensor]:
    """Give the windows, and what the first layer reads of them."""
    if form.embedded:
        table = weights["embedding.weight"]
        words = batch.inputs.expand(len(table), -1, -1)
        state: Tensor = Lookup.apply(table, words)  # type: ignore[no-untyped-call]
        return state, state.to(form.factors)
    window = _arranged(form, batch.inputs)
    return window, _segmented(form, _normalise(form, weights, window)).to(form.factors)


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
    lanes, steps, rows, columns = window.shape
    length = steps // form.segment
    parts = window.reshape(lanes, length, form.segment, rows, columns).transpose(2, 3)
    return parts.reshape(lanes, length, rows, form.segment * columns)


def _read(form: Form, weights: Weights, last: Tensor, window: Tensor) -> Tensor:
    """Take the outputs from the pooled states [K, R, H]."""
    head, bias = weights["head.weight"].to(form.factors), weights["head.bias"].to(form.factors)
    found = multiply_and_add(bias.unsqueeze(1), last, head.transpose(1, 2)).to(form.dtype)
    if found.requires_grad:
        # A lone lane's gradient lies in one piece; one in strides is added up in another order.
        found.register_hook(lambda gradient: gradient.contiguous())  # type: ignore[no-untyped-call]
    if form.classifies:
        return found
    found = found.view(*found.shape[:2], form.horizon, _targets(form), -1)  # [K, R, F, D, Q]
    found = _back(form, weights, found, window)
    if form.alone:
        parts = found.reshape(len(found), -1, form.targets, form.horizon, found.shape[-1])
        found = parts.transpose(2, 3)
    return found if form.quantiles else found[..., 0]


def _back(form: Form, weights: Weights, found: Tensor, window: Tensor) -> Tensor:
    """Bring forecasts [K, R, F, D, Q] of normalised windows to the scale of these windows."""
    targets = _targets(form)
    if form.normalization == "last":
        return found + window[:, -1, :, None, :targets, None]
    if form.normalization == "revin":
        mean, sd = (each[:, 0, :, None, :, None] for each in _moments(window[..., :targets]))
        scale = weights["normalization.scale"][:, None, None, :targets, None]
        shift = weights["normalization.shift"][:, None, None, :targets, None]
        return (found - shift) / (scale + EPSILON**2) * sd + mean
    return found


def _moments(window: Tensor) -> tuple[Tensor, Tensor]:
    mean = window.mean(dim=1, keepdim=True)
    variance = window.var(dim=1, keepdim=True, unbiased=False)
    return mean, torch.sqrt(variance + EPSILON)
