"""A lane takes the path of torch's own parts, put together here without any of this package's.

The stacked nn.LSTM, torch.optim, its schedulers, its clipping and its autograd, over 108 steps. Of
the package come the windows, their order and the weights that both begin with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from sweep.plan.settings import Schedule, Settings
from sweep.train import draws, model
from sweep.train.feed import SeriesFeed, open_feed

Make = Callable[..., Settings]
EPOCHS = 18  # of six steps: 183 windows in batches of 32
OPTIMIZERS: dict[str, tuple[dict[str, Any], Callable[..., torch.optim.Optimizer]]] = {
    "adam": ({"weight_decay": 1e-3}, torch.optim.Adam),
    "adamw": ({"weight_decay": 0.1}, torch.optim.AdamW),
    "rmsprop": ({"lr": 1e-3, "weight_decay": 1e-3}, torch.optim.RMSprop),
    "sgd": ({"lr": 2e-2, "momentum": 0.9, "weight_decay": 1e-3}, torch.optim.SGD),
}
Scheduler = lr_scheduler.LRScheduler | lr_scheduler.ReduceLROnPlateau
SCHEDULERS: dict[str, tuple[Schedule, Callable[[Any], Scheduler]]] = {
    "constant": (Schedule(), lambda o: lr_scheduler.ConstantLR(o, factor=1.0)),
    "step": (
        Schedule(name="step", step_epochs=4, gamma=0.3),
        lambda o: lr_scheduler.StepLR(o, step_size=4, gamma=0.3),
    ),
    "exponential": (
        Schedule(name="exponential"),
        lambda o: lr_scheduler.ExponentialLR(o, gamma=0.95),
    ),
    "cosine": (
        Schedule(name="cosine"),
        lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=EPOCHS),
    ),
    "plateau": (  # the library reduces after more than its patience of bad epochs, we at ours
        Schedule(name="plateau", patience=1),
        lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=0, threshold=0, eps=0),
    ),
}


class Stacked(nn.Module):
    """The library's stacked LSTM, with a head on its last state."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        shape, data = settings.model, settings.data
        inputs = len(data.target) + len(data.covariates)
        self.lstm = nn.LSTM(inputs, shape.hidden_size, shape.num_layers, batch_first=True)
        self.head = nn.Linear(shape.hidden_size, data.horizon)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, T, C] to [B, F, 1]."""
        states, _ = self.lstm(x)
        forecast: Tensor = self.head(states[:, -1])
        return forecast.unsqueeze(-1)


@dataclass(frozen=True)
class Reference:
    """What the library came to."""

    best: dict[str, Tensor]  # weights of the epoch with the lowest validation loss
    losses: list[float]  # of each epoch's validation
    rates: list[float]


def trained_by_the_library(settings: Settings) -> Reference:
    """Train as the library's tutorials do."""
    optim, own = settings.optim, settings.train
    examples = open_feed(settings)
    feed, windows = examples.feed, examples.windows
    assert isinstance(feed, SeriesFeed)
    network = Stacked(settings).to(feed.values.dtype)
    begun = model.arrays(model.build(settings, device=torch.device("cpu")))
    network.load_state_dict({ours(n): torch.from_numpy(v) for n, v in begun.items()})
    weights = [p for name, p in network.named_parameters() if "weight" in name]
    biases = [p for name, p in network.named_parameters() if "bias" in name]
    momentum = {"momentum": optim.momentum} if optim.name == "sgd" else {}
    optimizer = OPTIMIZERS[optim.name][1](
        [{"params": weights, "weight_decay": optim.weight_decay}, {"params": biases}],
        lr=optim.lr,
        **({"weight_decay": 0.0} | momentum),
    )
    scheduler = SCHEDULERS[optim.schedule.name][1](optimizer)
    measure = nn.functional.mse_loss if own.loss == "mse" else nn.functional.l1_loss
    best: dict[str, Tensor] = {}
    losses: list[float] = []
    rates = []
    for epoch in range(own.epochs):
        order = draws.permutation(own.seed, epoch=epoch, count=len(windows.train))
        for first in range(0, len(order), own.batch_size):
            x, y = feed.batch(windows.train[order[first : first + own.batch_size]])
            loss = measure(network(x), y) + optim.l1 * sum(w.abs().sum() for w in weights)
            optimizer.zero_grad()
            loss.backward()
            if optim.clip_norm is not None:
                nn.utils.clip_grad_norm_(network.parameters(), optim.clip_norm)
            optimizer.step()
        rates.append(optimizer.param_groups[0]["lr"])
        with torch.no_grad():
            x, y = feed.batch(windows.val)
            losses.append(measure(network(x).double(), y.double()).item())
        if losses[-1] == min(losses):
            best = {name: values.clone() for name, values in network.state_dict().items()}
        if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
            scheduler.step(losses[-1])
        else:
            scheduler.step()
    return Reference(best, losses, rates)


def ours(name: str) -> str:
    """Name a parameter of ours, layers.1.weight_ih_l0, as the library does: weight_ih_l1."""
    if name.startswith("layers."):
        _, number, own = name.split(".")
        return f"lstm.{own.removesuffix('0')}{number}"
    return name


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_and_schedule_with_its_penalties_and_clipping(
    make_settings: Make, train_at_once: Any, name: str, precision: str
) -> None:
    schedules = [schedule for schedule, _ in SCHEDULERS.values()]
    base = make_settings(
        data={"lookback": 6},
        model={"hidden_size": 5},
        optim={"name": name, "l1": 1e-4, "clip_norm": 0.5} | OPTIMIZERS[name][0],
        train={"epochs": EPOCHS, "patience": None, "precision": precision},
    )
    configs = [replace(base, optim=replace(base.optim, schedule=each)) for each in schedules]

    for lane, each in zip(train_at_once(configs), configs, strict=True):
        agree(lane, trained_by_the_library(each), precision)


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_every_number_of_layers(
    make_settings: Make, train_at_once: Any, layers: int, precision: str
) -> None:
    configs = [
        make_settings(
            data={"lookback": 6},
            model={"hidden_size": 5, "num_layers": layers},
            optim={"lr": 3e-3},
            train={"epochs": EPOCHS, "patience": None, "precision": precision, "loss": loss},
        )
        for loss in ("mse", "mae")
    ]

    for lane, each in zip(train_at_once(configs), configs, strict=True):
        agree(lane, trained_by_the_library(each), precision)


def agree(lane: Any, reference: Reference, precision: str) -> None:
    tolerance = 1e-9 if precision == "float64" else 2e-3
    assert lane.history["lr"] == pytest.approx(reference.rates, rel=1e-12)
    np.testing.assert_allclose(lane.history["val_loss"], reference.losses, rtol=tolerance)
    assert lane.metrics["best_epoch"] == int(np.argmin(reference.losses)) + 1
    assert len(lane.weights) == len(reference.best)
    for name, values in lane.weights.items():
        theirs = reference.best[ours(name)].numpy()
        np.testing.assert_allclose(values, theirs, rtol=0, atol=tolerance)
