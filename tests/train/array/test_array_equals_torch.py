"""A lane takes the path of nn.LSTM and torch.optim, over more than a hundred steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from sweep.plan.settings import Schedule, Settings
from sweep.plan.trial import State
from sweep.train.array.block import WEIGHTS, Block, Task
from sweep.train.array.form import form_of
from sweep.train.array.group import Group
from sweep.train.array.network import outputs
from sweep.train.array.recurrence import Operations
from sweep.train.feed import open_feed
from sweep.train.loop import train
from sweep.train.model import arrays, build

Make = Callable[..., Settings]
EPOCHS = 17  # of six steps: 183 windows in batches of 32, the last of 23
DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adam": {"name": "adam", "weight_decay": 1e-3},
    "adam, l1": {"name": "adam", "l1": 1e-4, "clip_norm": 0.5},
    "adamw": {"name": "adamw", "weight_decay": 1e-1},
    "adamw, l1": {"name": "adamw", "weight_decay": 1e-2, "l1": 1e-4, "clip_norm": 0.5},
    "rmsprop": {"name": "rmsprop", "weight_decay": 1e-3, "lr": 3e-3},
    "rmsprop, l1": {"name": "rmsprop", "lr": 1e-3, "l1": 1e-4, "clip_norm": 0.1},
    "sgd": {"name": "sgd", "lr": 5e-2},
    "sgd, momentum": {"name": "sgd", "lr": 2e-2, "momentum": 0.9, "clip_norm": 0.1, "l1": 1e-3},
}
SCHEDULES = [
    Schedule(),
    Schedule(name="step", step_epochs=4),
    Schedule(name="exponential", warmup_epochs=2),
    Schedule(name="cosine", warmup_epochs=1, min_factor=0.1),
    Schedule(name="plateau", patience=1),
]
FORMS: dict[str, dict[str, Any]] = {
    "one layer": {},
    "two layers": {"model": {"num_layers": 2}},
    "three layers": {"model": {"num_layers": 3}},
    "last value": {"data": {"normalization": "last", "target": ["temp", "dewp"], "covariates": []}},
    "reversible": {"data": {"normalization": "revin"}},
    "channels": {"data": {"layout": "channel", "target": ["temp", "dewp"], "covariates": []}},
    "reversible channels": {
        "data": {
            "layout": "channel",
            "normalization": "revin",
            "target": ["temp", "dewp", "humid"],
            "covariates": [],
        }
    },
    "segments": {"model": {"segment": 3, "num_layers": 2}, "data": {"normalization": "last"}},
    "one time step": {"data": {"lookback": 1, "horizon": 1}},
    "largest states": {"model": {"pooling": "max", "segment": 2}},
    "two directions": {"model": {"bidirectional": True, "num_layers": 2}},
    "mean of two directions": {"model": {"bidirectional": True, "pooling": "mean"}},
}
LANES: list[dict[str, Any]] = [  # all that may differ within an array
    {"model": {"dropout": 0.3, "output_dropout": 0.2}},
    {"model": {"activation": "relu"}, "optim": {"clip_norm": 0.5}, "train": {"seed": 1}},
    {"optim": {"name": "sgd", "lr": 0.02, "momentum": 0.5}, "train": {"loss": "mae"}},
    {"model": {"dropout": 0.1}, "optim": {"name": "adamw", "weight_decay": 0.1}},
]


@pytest.fixture(params=DEVICES)
def make_settings(make_settings: Make, request: pytest.FixtureRequest) -> Make:
    """Make configurations for each processor that is there."""

    def make(**groups: dict[str, Any]) -> Settings:
        return make_settings(**joined(groups, {"train": {"device": request.param}}))

    return make


def joined(*parts: dict[str, Any]) -> dict[str, Any]:
    groups = ("data", "model", "optim", "train")
    return {g: {k: v for part in parts for k, v in part.get(g, {}).items()} for g in groups}


def with_schedule(config: Settings, schedule: Schedule) -> Settings:
    return replace(config, optim=replace(config.optim, schedule=schedule))


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_with_every_schedule(
    make_settings: Make, train_at_once: Any, close: Any, name: str, precision: str
) -> None:
    own = {"epochs": EPOCHS, "patience": None, "precision": precision}
    small = {"data": {"lookback": 6}, "model": {"hidden_size": 5}}
    config = make_settings(optim=OPTIMIZERS[name], train=own, **small)
    configs = [with_schedule(config, schedule) for schedule in SCHEDULES]

    for ours, each in zip(train_at_once(configs), configs, strict=True):
        close(ours, train(each), tolerance=1e-10 if precision == "float64" else 2e-3)


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_network(
    make_settings: Make, train_at_once: Any, close: Any, name: str, precision: str
) -> None:
    small = {"data": {"lookback": 6}, "model": {"hidden_size": 5}}
    own = {"train": {"epochs": EPOCHS, "patience": None, "precision": precision}}
    configs = [make_settings(**joined(small, own, FORMS[name], lane)) for lane in LANES]

    for ours, each in zip(train_at_once(configs), configs, strict=True):
        close(ours, train(each), tolerance=1e-8 if precision == "float64" else 2e-3)


QUANTILES = [[0.1, 0.5, 0.9], [0.25, 0.6, 0.75], [0.05, 0.2, 0.4]]


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize(
    "form",
    [
        {"data": {"target": ["temp", "dewp"], "covariates": [], "normalization": "revin"}},
        {"data": {"target": ["temp", "dewp"], "covariates": [], "layout": "channel"}},
        {"data": {"normalization": "last"}, "model": {"segment": 3}},
    ],
)
def test_quantiles_are_each_lanes_own(
    make_settings: Make, train_at_once: Any, close: Any, form: dict[str, Any], precision: str
) -> None:
    small = {"data": {"lookback": 6}, "model": {"hidden_size": 5}}
    own = {"epochs": EPOCHS, "patience": None, "precision": precision, "loss": "quantile"}
    lanes = [{"train": own | {"quantiles": levels}} for levels in QUANTILES]
    configs = [make_settings(**joined(small, form, lane)) for lane in lanes]
    tolerance = 1e-8 if precision == "float64" else 2e-3

    for ours, each in zip(train_at_once(configs), configs, strict=True):
        theirs = train(each)
        close(ours, theirs, tolerance=tolerance)
        assert ours.metrics.keys() == theirs.metrics.keys()
        for name in ("val_quantile", "val_mse", "val_mae"):
            assert ours.metrics[name] == pytest.approx(theirs.metrics[name], rel=tolerance)


@pytest.mark.parametrize(("lr", "seed"), [(1e-2, 0), (3e-2, 0), (3e-2, 1)])
def test_rmsprop_at_a_high_rate_differs_in_float32_as_torch_does_from_itself(
    make_settings: Make, train_at_once: Any, lr: float, seed: int
) -> None:
    # The formula is torch's to the last digits. Its first step moves every weight by ten times the
    # rate, however small the gradient, and from there on training amplifies what was rounded.
    def curves(precision: str) -> tuple[Any, Any]:
        config = make_settings(
            data={"lookback": 6},
            model={"hidden_size": 5},
            optim={"name": "rmsprop", "lr": lr},
            train={"epochs": EPOCHS, "patience": None, "precision": precision, "seed": seed},
        )
        both = train_at_once([config])[0], train(config)
        ours, theirs = (np.array(each.history["val_loss"], dtype=float) for each in both)
        return ours, theirs

    (exact, reference), (ours, theirs) = curves("float64"), curves("float32")

    np.testing.assert_allclose(exact, reference, rtol=1e-11)
    away, own = (np.abs(each / reference - 1).max() for each in (ours, theirs))
    assert away < 20 * max(own, 1e-7)


def test_early_stopping_horizons_and_min_delta_are_each_lanes_own(
    make_settings: Make, train_at_once: Any, close: Any
) -> None:
    configs = [
        make_settings(optim={"lr": 5e-2}, train={"epochs": 40, "patience": 2}),
        make_settings(train={"epochs": 2}),
        make_settings(train={"epochs": 12, "patience": 3, "min_delta": 100.0}),
        make_settings(train={"epochs": 9, "patience": None, "seed": 3}),
    ]

    found = train_at_once(configs)

    for ours, each in zip(found, configs, strict=True):
        close(ours, train(each), tolerance=2e-3)
    assert [each.metrics["epochs"] for each in found[1:]] == [2, 4, 9]
    assert found[0].metrics["epochs"] < 40


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("normalization", ["none", "revin"])
def test_gradients_of_one_step_are_torchs(
    make_settings: Make, normalization: str, activation: str
) -> None:
    config = make_settings(
        data={"normalization": normalization},
        model={"num_layers": 2, "activation": activation},
        train={"precision": "float64"},
    )
    examples = open_feed(config)
    feed, windows = examples.feed, examples.windows
    network = build(config, device=feed.device)
    x, y = feed.batch(windows.train[:32])
    (network(x) - y).square().mean().backward()
    expected = {name: p.grad for name, p in network.named_parameters()}

    form = form_of(config)
    row = torch.from_numpy(form.join(arrays(network))).to(feed.device).expand(3, -1).clone()
    leaves = {name: v.clone().requires_grad_() for name, v in form.views(row).items()}
    places = torch.from_numpy(windows.train[:32]).to(feed.device).expand(3, -1)
    batch = feed.batches(places)
    found = outputs(
        form,
        leaves,
        batch,
        relu=torch.full((3,), activation == "relu", device=feed.device),
        drop=lambda site, states: states,
        engine=Operations(),
    )
    (found - batch.targets).square().mean((1, 2, 3)).sum().backward()

    for name, gradient in expected.items():
        for lane in leaves[name].grad:
            torch.testing.assert_close(lane, gradient, rtol=1e-11, atol=1e-14)


def test_bfloat16_stays_near_and_its_weights_stay_float32(
    make_settings: Make, train_at_once: Any
) -> None:
    exact = make_settings(train={"epochs": EPOCHS, "patience": None})
    rough = replace(exact, train=replace(exact.train, precision="bfloat16"))

    near, full = train_at_once([rough])[0], train(exact)

    assert near.objective == pytest.approx(full.objective, rel=0.05)
    assert near.objective != full.objective
    assert {values.dtype.name for values in near.weights.values()} == {"float32"}


@pytest.mark.parametrize(
    ("optim", "batch_size"),
    [
        ({"lr": 1e30, "name": "sgd"}, 32),
        ({"lr": 1e4, "name": "rmsprop"}, 32),
        ({"lr": 1e3}, 10_000),
    ],
)
def test_a_trial_that_diverges_is_infeasible_in_the_same_words(
    make_settings: Make, train_at_once: Any, close: Any, optim: dict[str, Any], batch_size: int
) -> None:
    own = {"batch_size": batch_size, "precision": "float64"}
    bad = make_settings(optim=optim, train=own)

    (ours,) = train_at_once([bad])

    assert ours.state is State.INFEASIBLE
    close(ours, train(bad), tolerance=1e-8)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_trial_that_diverges_late_does_so_in_the_same_epoch(
    make_settings: Make, train_at_once: Any, precision: str
) -> None:
    warm_up = Schedule(warmup_epochs=8)  # until the rate is too high
    bad = make_settings(
        data={"lookback": 6},
        model={"hidden_size": 5, "activation": "relu"},
        optim={"name": "sgd", "lr": 20.0, "schedule": warm_up},
        train={"epochs": 10, "patience": None, "precision": precision},
    )

    (ours,), theirs = train_at_once([bad]), train(bad)

    assert ours.state is theirs.state is State.INFEASIBLE
    assert ours.metrics["epochs"] == theirs.metrics["epochs"] > 1
    assert ours.failure is not None
    assert theirs.failure is not None
    assert ours.failure.text.split(" in epoch ")[1] == theirs.failure.text.split(" in epoch ")[1]
    if precision == "float64":
        assert ours.failure == theirs.failure


def test_a_slot_at_rest_stays_as_it_is_while_another_is_trained(make_settings: Make) -> None:
    config = make_settings(train={"precision": "float64"})
    examples = open_feed(config)
    feed, windows = examples.feed, examples.windows
    task = Task(form=form_of(config), feed=feed, train=windows.train, val=windows.val)
    block = Block(task, lanes=2)
    group = Group(task, examples, [block])
    lane = group.open(config, kept=None)
    initial = lane.rows[WEIGHTS]
    group.seat(lane, 1)

    for _ in range(group.begin([lane])):
        group.step()

    assert not block.fetch(0, WEIGHTS)[WEIGHTS].any()  # a slot at rest stays as it is
    assert (block.fetch(1, WEIGHTS)[WEIGHTS] != initial).any()
