from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest
import torch

from sweep.plan.settings import Settings
from sweep.plan.trial import State
from sweep.train.loop import Trained, train

Make = Callable[..., Settings]
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "dropout": {"model": {"num_layers": 2, "dropout": 0.3, "output_dropout": 0.2}},
    "relu": {"model": {"activation": "relu"}},
    "revin": {"data": {"normalization": "revin"}},
    "channel": {"data": {"layout": "channel", "normalization": "last"}},
    "rmsprop": {"optim": {"name": "rmsprop", "l1": 1e-4, "clip_norm": 0.1}},
    "sgd": {"optim": {"name": "sgd", "momentum": 0.9}},
    "adamw": {"optim": {"name": "adamw", "weight_decay": 1e-2}, "train": {"loss": "mae"}},
}


def same(one: Trained, other: Trained) -> bool:
    """Equal to the last bit."""
    return (
        one.objective == other.objective
        and one.metrics == other.metrics
        and one.history == other.history
        and one.weights.keys() == other.weights.keys()
        and all(one.weights[n].tobytes() == other.weights[n].tobytes() for n in one.weights)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_trial_gives_the_same_bits_whatever_ran_before(make_settings: Make, kind: str) -> None:
    settings = make_settings(**KINDS[kind])
    alone = train(settings)

    torch.manual_seed(99)  # no draw may come from here
    np.random.default_rng().random()
    train(make_settings(model={"hidden_size": 12, "num_layers": 2, "dropout": 0.5}))
    replayed = train(settings)

    assert alone.state is State.COMPLETED
    assert same(alone, replayed)


def test_trials_give_the_same_bits_in_any_order(make_settings: Make) -> None:
    trials = [
        make_settings(optim={"lr": lr}, train={"seed": s}) for lr in (1e-2, 3e-2) for s in (0, 1)
    ]

    forward = [train(trial) for trial in trials]
    backward = [train(trial) for trial in reversed(trials)]

    assert all(same(a, b) for a, b in zip(forward, reversed(backward), strict=True))


def test_another_seed_is_another_trial(make_settings: Make) -> None:
    results = [train(make_settings(train={"seed": seed})).objective for seed in (0, 1)]

    assert results[0] != results[1]


@pytest.mark.slow
def test_a_fresh_process_gives_the_same_bits(make_settings: Make) -> None:
    settings = make_settings(model={"num_layers": 2, "dropout": 0.3})
    train(make_settings(model={"hidden_size": 13}))

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        elsewhere = fresh.submit(train, settings).result()

    assert same(elsewhere, train(settings))


def test_an_epoch_capped_run_is_the_start_of_a_longer_one(make_settings: Make) -> None:
    short, long = (train(make_settings(train={"epochs": epochs})) for epochs in (2, 4))

    assert short.history["val_loss"] == long.history["val_loss"][:2]


@pytest.mark.parametrize(
    ("kind", "losses"),
    [
        ("plain", [2.280298741093823, 2.0261187244908125, 1.7077449415375205]),
        ("dropout", [2.29312689992337, 1.9953790914866918, 1.5755943044024798]),
        ("channel", [0.36491436412454076, 0.3498119771585875, 0.34514648983481133]),
    ],
)
def test_what_is_added_to_the_network_leaves_its_numbers(
    make_settings: Make, kind: str, losses: list[float]
) -> None:
    # Written down before classifiers, folds and segments came; another processor rounds otherwise.
    assert train(make_settings(**KINDS[kind])).history["val_loss"] == pytest.approx(
        losses, rel=1e-4
    )
