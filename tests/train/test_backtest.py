"""A configuration that is trained anew at later and later origins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from sweep.errors import BadInput
from sweep.plan.settings import Settings
from sweep.train import loop, score
from sweep.train.backtest import backtest
from sweep.train.baselines import persistence

Make = Callable[..., Settings]


def test_each_origin_knows_what_is_before_it_and_is_tested_on_what_follows(
    make_settings: Make,
) -> None:
    settings = make_settings(train={"epochs": 1})  # 200, 60 and 60 rows
    heard: list[int] = []

    found = backtest(settings, origins=3, told=lambda origin: heard.append(origin.known))

    assert [(own.known, own.tested) for own in found.origins] == [(260, 20), (280, 20), (300, 20)]
    assert heard == [260, 280, 300]
    assert found.metric == "mse"
    assert len(found.by_step) == settings.data.horizon
    for own in found.origins:
        there = replace(settings.data, split=[own.known - 60.0, 60.0, 20.0])
        assert own.scores["persistence"] == persistence(there).scores["test_mse"]


def test_the_network_of_an_origin_is_that_of_its_own_split(make_settings: Make) -> None:
    settings = make_settings(train={"epochs": 2})
    there = replace(settings, data=replace(settings.data, split=[230.0, 60.0, 30.0]))
    weights = loop.train(there).weights

    found = backtest(settings, origins=2)

    expected = score.score(there, weights=weights, part="test")
    assert found.origins[1].scores["network"] == expected["test_mse"]


def test_the_errors_by_step_average_to_the_score(make_settings: Make) -> None:
    settings = make_settings(train={"epochs": 1})
    weights = loop.train(settings).weights

    steps = score.errors_by_step(settings, weights=weights, part="test")
    whole = score.score(settings, weights=weights, part="test")

    assert np.mean(steps) == pytest.approx(whole["test_mse"])


@pytest.mark.parametrize("lr", [1e30])
def test_an_origin_at_which_training_diverges_is_told(make_settings: Make, lr: float) -> None:
    found = backtest(make_settings(optim={"lr": lr, "name": "sgd"}), origins=2)

    assert all(np.isnan(own.scores["network"]) for own in found.origins)
    assert found.by_step == []


def test_blocks_that_are_shorter_than_the_horizon_are_refused(make_settings: Make) -> None:
    with pytest.raises(BadInput, match="11 origins in 60 test rows leave blocks shorter than"):
        backtest(make_settings(), origins=11)
