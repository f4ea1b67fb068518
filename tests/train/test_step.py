from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch

from sweep.plan.settings import Settings
from sweep.train import model, optimizer
from sweep.train.feed import Feed, open_feed
from sweep.train.schedule import Plateau
from sweep.train.step import Bench, one_epoch, set_up

Make = Callable[..., Settings]
CPU = torch.device("cpu")


def bench_of(settings: Settings) -> Bench:
    return set_up(settings, examples=open_feed(settings))


@dataclass(frozen=True)
class Recording:
    """A feed that remembers which windows were asked for."""

    feed: Feed
    seen: list[list[int]]

    def batch(self, starts: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        self.seen.append(starts.tolist())
        return self.feed.batch(starts)


def batches(settings: Settings, *, epochs: int) -> list[list[int]]:
    bench = bench_of(settings)
    recording = Recording(bench.feed, [])
    for epoch in range(epochs):
        one_epoch(replace(bench, feed=recording), epoch=epoch, plateau=Plateau())
    return recording.seen


def test_trials_of_one_seed_share_their_batches(make_settings: Make) -> None:
    plain = batches(make_settings(), epochs=2)
    other = make_settings(
        model={"hidden_size": 11, "num_layers": 2, "dropout": 0.4},
        optim={"name": "sgd", "lr": 1e-3},
    )

    assert batches(other, epochs=2) == plain
    assert batches(make_settings(train={"seed": 1}), epochs=2) != plain


def test_each_epoch_sees_every_window_once_in_an_order_of_its_own(make_settings: Make) -> None:
    seen = batches(make_settings(train={"batch_size": 50}), epochs=2)  # 183 windows

    assert [len(batch) for batch in seen] == [50, 50, 50, 33] * 2
    first, second = (list(chain(*seen[half])) for half in (slice(0, 4), slice(4, 8)))
    assert sorted(first) == sorted(second) == list(range(12, 195))
    assert first != second


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "sgd"])
@pytest.mark.parametrize("penalty", ["weight_decay", "l1"])
def test_penalties_shrink_weights_and_leave_biases(
    make_settings: Make, name: str, penalty: str
) -> None:
    settings = make_settings(
        optim={"name": name, "lr": 1e-3, penalty: 0.1}, train={"precision": "float64"}
    )
    network = model.build(settings, device=CPU)
    before = model.arrays(network)
    stepper = optimizer.build(settings.optim, network=network)

    # A gradient of nothing but the penalty.
    zero = sum((parameter * 0).sum() for parameter in network.parameters())
    penalised = sum(p.abs().sum() for p in model.penalised(network)) * settings.optim.l1
    (zero + penalised).backward()
    stepper.step()

    for parameter_name, values in model.arrays(network).items():
        if "bias" in parameter_name:
            np.testing.assert_array_equal(values, before[parameter_name])
        else:
            assert np.abs(values).sum() < np.abs(before[parameter_name]).sum()


def test_one_step_is_loss_and_l1_then_clipping_then_decay(make_settings: Make) -> None:
    settings = make_settings(
        optim={"name": "sgd", "lr": 0.1, "l1": 0.01, "clip_norm": 0.05, "weight_decay": 0.2},
        train={"precision": "float64", "batch_size": 10_000},
    )
    bench = bench_of(settings)
    before = {n: p.detach().clone() for n, p in bench.network.named_parameters()}
    x, y = bench.feed.batch(bench.starts)
    loss = (bench.network(x) - y).square().mean()
    names = list(before)
    gradients = torch.autograd.grad(loss, [bench.network.get_parameter(n) for n in names])
    raw = {
        n: g + (0.01 * torch.sign(before[n]) if g.ndim > 1 else 0.0)
        for n, g in zip(names, gradients, strict=True)
    }
    norm = math.sqrt(sum(g.square().sum().item() for g in raw.values()))

    one_epoch(bench, epoch=0, plateau=Plateau())  # the batch holds all windows: one step

    assert norm > 0.05
    for name, parameter in bench.network.named_parameters():
        decay = 0.2 * before[name] if parameter.ndim > 1 else 0.0
        expected = before[name] - 0.1 * (raw[name] * 0.05 / norm + decay)
        torch.testing.assert_close(parameter.detach(), expected, rtol=1e-4, atol=1e-7)


def test_the_epochs_loss_is_the_mean_over_all_windows(make_settings: Make) -> None:
    # 183 windows in batches of 50: the last holds 33, and counts as 33.
    settings = make_settings(optim={"lr": 1e-30}, train={"batch_size": 50, "precision": "float64"})
    bench = bench_of(settings)
    x, y = bench.feed.batch(bench.starts)
    with torch.no_grad():
        expected = (bench.network(x) - y).square().mean().item()

    mean, _ = one_epoch(bench, epoch=0, plateau=Plateau())

    assert mean == pytest.approx(expected)


@pytest.mark.parametrize(
    ("optim", "theirs"),
    [
        ({"name": "adam"}, torch.optim.Adam),
        ({"name": "adam", "weight_decay": 0.1}, torch.optim.Adam),
        ({"name": "adamw", "weight_decay": 0.1}, torch.optim.AdamW),
        ({"name": "rmsprop", "weight_decay": 0.1}, torch.optim.RMSprop),
        ({"name": "sgd"}, torch.optim.SGD),
        ({"name": "sgd", "momentum": 0.9, "weight_decay": 0.1}, torch.optim.SGD),
    ],
)
def test_an_optimiser_moves_weights_as_the_librarys_does_bit_for_bit(
    make_settings: Make, optim: dict[str, Any], theirs: type[torch.optim.Optimizer]
) -> None:
    settings = make_settings(optim={"lr": 0.01, **optim})
    network, reference = (model.build(settings, device=CPU) for _ in range(2))
    ours = optimizer.build(settings.optim, network=network)
    decay = settings.optim.weight_decay
    library = theirs(
        [
            {"params": model.penalised(reference), "weight_decay": decay},
            {"params": model.exempt(reference), "weight_decay": 0.0},
        ],
        lr=0.01,
        **({"momentum": settings.optim.momentum} if settings.optim.momentum else {}),
        **({"foreach": False} if settings.optim.name == "rmsprop" else {"fused": True}),
    )

    for step in range(30):
        x = torch.from_numpy(np.random.default_rng(step).normal(size=(4, 12, 6))).float()
        for module, stepper in ((network, ours), (reference, library)):
            stepper.zero_grad()
            module(x).square().mean().backward()
            stepper.step()

    for name, parameter in network.named_parameters():
        assert torch.equal(parameter, reference.get_parameter(name)), name


def test_training_does_not_import_the_compiler() -> None:
    code = """
import sys
import torch
from sweep.train import loop, optimizer
from sweep.plan.settings import Optim
network = torch.nn.Linear(2, 2)
for name in ("adam", "adamw", "rmsprop", "sgd"):
    stepper = optimizer.build(Optim(name=name), network=network)
    network(torch.ones(1, 2)).sum().backward()
    stepper.step()
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
