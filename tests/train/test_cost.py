from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from sweep.plan.settings import Settings
from sweep.train import data, model
from sweep.train.cost import Size, cost, size_of
from sweep.train.loop import train

Make = Callable[..., Settings]


@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("normalization", ["none", "last", "revin"])
@pytest.mark.parametrize("layout", ["joint", "channel"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_parameters_are_those_of_the_network(
    make_settings: Make, num_layers: int, normalization: str, layout: str, activation: str
) -> None:
    settings = make_settings(
        data={
            "target": ["temp", "dewp"],
            "normalization": normalization,
            "layout": layout,
            "covariates": ["humid"],
        },
        model={"num_layers": num_layers, "activation": activation},
    )
    network = model.build(settings, device=torch.device("cpu"))

    expected = sum(parameter.numel() for parameter in network.parameters())

    assert cost(settings, size=Size(183, 12)).parameters == expected


def test_windows_and_steps_are_those_of_training(make_settings: Make) -> None:
    settings = make_settings(train={"batch_size": 50, "epochs": 7})
    places = data.windows(data.load(settings.data), settings.data)

    found = cost(settings, size=Size(183, 12))

    assert (found.windows, found.steps, found.epochs) == (len(places.train), 4, 7)


@pytest.mark.parametrize(
    ("groups", "per_window"),
    [
        # 8 T H (I + H) a layer and 2 H F for the head, by hand
        ({}, 8 * 12 * 8 * (6 + 8) + 2 * 8 * 6),
        ({"model": {"num_layers": 2}}, 8 * 12 * 8 * (6 + 8) + 8 * 12 * 8 * (8 + 8) + 2 * 8 * 6),
        (
            {"data": {"layout": "channel", "target": ["temp", "dewp"]}},
            2 * (8 * 12 * 8 * (1 + 8) + 2 * 8 * 6),
        ),
    ],
)
def test_flop_are_three_forward_passes_a_window_and_epoch(
    make_settings: Make, groups: dict[str, Any], per_window: int
) -> None:
    settings = make_settings(**groups)

    assert cost(settings, size=Size(183, 12)).flop == 3 * per_window * 183 * 3


def test_a_trial_records_the_operations_of_the_epochs_that_it_trained(make_settings: Make) -> None:
    whole = make_settings(train={"epochs": 3})
    short = make_settings(train={"epochs": 3, "patience": 1, "min_delta": 100.0})

    planned = cost(whole, size=size_of(whole.data)).flop

    assert train(whole).metrics["flop"] == planned
    assert train(short).metrics["flop"] == pytest.approx(planned * 2 / 3)


def test_operations_of_folds_are_those_of_each_network_and_of_the_refit(
    make_settings: Make,
) -> None:
    settings = make_settings(data={"folds": 2}, train={"epochs": 2, "patience": None})

    trained = train(settings)

    planned = cost(settings, size=size_of(settings.data)).flop  # of three networks, two epochs each
    networks = 2 * 2 + trained.metrics["best_epoch"]
    assert trained.metrics["flop"] == pytest.approx(planned * networks / 6)
