"""Count what training a configuration costs, before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.plan.settings import Data, Settings
from sweep.train import labelled
from sweep.train.data import load
from sweep.train.shapes import head_outputs, layer_inputs, parameters, state_size


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is to train on."""

    examples: int  # training windows, sequences or sentences
    steps: int  # of one, on average


@dataclass(frozen=True, slots=True)
class Cost:
    """What one trial costs if it is not stopped early."""

    parameters: int
    windows: int  # training windows, each seen once an epoch
    steps: int  # optimiser steps an epoch
    epochs: int
    flop: float  # of the whole training, validation left out


def cost(settings: Settings, *, size: Size) -> Cost:
    """Count parameters, windows, steps and floating point operations.

    A layer takes 8 T H (I + H) a sample forward (four gates, a multiplication and an addition for
    each weight), the head 2 H outputs; the backward pass twice that. Words are looked up, and cost
    nothing. Folds train on less than everything, and count as if they did not.
    """
    data, own, train = settings.data, settings.model, settings.train
    hidden, directions = own.hidden_size, 2 if own.bidirectional else 1
    steps = size.steps // (own.segment or 1)
    forward = sum(8 * steps * hidden * (i + hidden) for i in layer_inputs(settings)) * directions
    forward += 2 * state_size(settings) * head_outputs(settings)
    samples = size.examples * (len(data.target) if data.layout == "channel" else 1)
    return Cost(
        parameters=parameters(settings),
        windows=size.examples,
        steps=-(-size.examples // train.batch_size),
        epochs=train.epochs,
        flop=3.0 * forward * samples * train.epochs * _networks(data),
    )


def spent(settings: Settings, *, epochs: int) -> float:
    """Count the floating point operations of so many epochs of one network, as `cost` counts.

    Raises BadInput for data that cannot be used.
    """
    whole = cost(settings, size=size_of(settings.data)).flop
    return whole * epochs / (settings.train.epochs * _networks(settings.data))


def size_of(data: Data) -> Size:
    """Measure what a configuration trains on. Raises BadInput for data that cannot be used."""
    if data.kind == "series":
        rows = load(data).train_end
        return Size(max(0, rows - data.lookback - data.horizon + 1), data.lookback)
    examples = labelled.load(data)
    lengths = examples.lengths[examples.windows.train]
    return Size(len(lengths), round(float(lengths.clip(max=data.lookback).mean())))


def _networks(data: Data) -> int:
    """Count the networks of a trial: one a fold, and the one that is trained on all of them."""
    return data.folds + (1 if data.folds > 1 else 0)
