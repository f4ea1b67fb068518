"""Count what training a configuration costs, before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.plan.settings import Settings


@dataclass(frozen=True, slots=True)
class Cost:
    """What one trial costs if it is not stopped early."""

    parameters: int
    windows: int  # training windows, each seen once an epoch
    steps: int  # optimiser steps an epoch
    epochs: int
    flop: float  # of the whole training, validation left out


def cost(settings: Settings, *, train_rows: int) -> Cost:
    """Count parameters, windows, steps and floating point operations.

    A layer takes 8 T H (I + H) a sample forward (four gates, a multiplication and an addition for
    each weight), the head 2 H outputs; the backward pass twice that.
    """
    data, model, train = settings.data, settings.model, settings.train
    hidden, alone = model.hidden_size, data.layout == "channel"
    columns = 1 if alone else len(data.target) + len(data.covariates)
    outputs = data.horizon * (1 if alone else len(data.target))
    sizes = [columns, *[hidden] * (model.num_layers - 1)]  # inputs of each layer
    parameters = sum(4 * hidden * (size + hidden + 2) for size in sizes)
    parameters += outputs * (hidden + 1) + (2 * columns if data.normalization == "revin" else 0)
    windows = max(0, train_rows - data.lookback - data.horizon + 1)
    forward = sum(8 * data.lookback * hidden * (size + hidden) for size in sizes)
    forward += 2 * hidden * outputs
    samples = windows * (len(data.target) if alone else 1)
    return Cost(
        parameters=parameters,
        windows=windows,
        steps=-(-windows // train.batch_size),
        epochs=train.epochs,
        flop=3.0 * forward * samples * train.epochs,
    )
