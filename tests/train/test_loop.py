from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from multiprocessing import get_context

import numpy as np
import pytest
import torch

from sweep.errors import BadInput
from sweep.plan.settings import Optim, Settings
from sweep.plan.trial import State
from sweep.train import model, optimizer
from sweep.train.feed import Feed, open_feed
from sweep.train.loop import Epoch, Trained, train
from sweep.train.schedule import Plateau
from sweep.train.score import score
from sweep.train.step import Bench, one_epoch, set_up

Make = Callable[..., Settings]
CPU = torch.device("cpu")
KINDS = {
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


def bench_of(settings: Settings) -> Bench:
    feed, windows = open_feed(settings)
    return set_up(settings, feed=feed, starts=windows.train)


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


def test_another_seed_is_another_trial(make_settings: Make) -> None:
    results = [train(make_settings(train={"seed": seed})).objective for seed in (0, 1)]

    assert results[0] != results[1]


def test_training_learns_more_than_the_mean(make_settings: Make) -> None:
    trained = train(make_settings(train={"epochs": 8}))

    assert trained.state is State.COMPLETED
    assert trained.history["train_loss"][-1] < 0.5 * trained.history["train_loss"][0]
    assert trained.metrics["epochs"] == 8
    assert len(trained.history["val_loss"]) == 8
    assert trained.device == "cpu"


@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_the_objective_is_the_validation_loss_of_the_kept_weights(
    make_settings: Make, loss: str
) -> None:
    settings = make_settings(train={"loss": loss, "epochs": 4}, optim={"l1": 1e-3})

    trained = train(settings)
    scored = score(settings, weights=trained.weights, part="val")

    assert trained.objective == scored[f"val_{loss}"] == min(trained.history["val_loss"])
    assert scored == {name: trained.metrics[name] for name in ("val_mse", "val_mae")}


def test_a_score_is_the_mean_over_windows_horizon_and_targets(make_settings: Make) -> None:
    settings = make_settings(data={"target": ["temp", "dewp"], "covariates": []})
    feed, windows = open_feed(settings)
    network = model.build(settings, device=CPU)
    x, y = feed.batch(windows.test)
    with torch.no_grad():
        error = (network(x) - y).numpy()

    scored = score(settings, weights=model.arrays(network), part="test")

    assert error.shape == (55, 6, 2)
    assert scored["test_mse"] == pytest.approx(np.square(error).mean(), rel=1e-5)
    assert scored["test_mae"] == pytest.approx(np.abs(error).mean(), rel=1e-5)


def test_early_stopping_restores_the_best_weights(make_settings: Make) -> None:
    settings = make_settings(optim={"lr": 5e-2}, train={"epochs": 40, "patience": 2})

    trained = train(settings)

    losses = trained.history["val_loss"]
    best = int(trained.metrics["best_epoch"])
    assert len(losses) == best + 2 < 40
    assert losses[best - 1] == min(losses) == trained.objective
    assert score(settings, weights=trained.weights, part="val")["val_mse"] == min(losses)


def test_an_improvement_within_min_delta_does_not_count(make_settings: Make) -> None:
    trained = train(make_settings(train={"epochs": 10, "patience": 3, "min_delta": 100.0}))

    assert trained.metrics["epochs"] == 4
    assert trained.metrics["best_epoch"] == 1
    assert trained.objective == trained.history["val_loss"][0]


def test_without_patience_all_epochs_run(make_settings: Make) -> None:
    trained = train(make_settings(train={"epochs": 6, "patience": None, "min_delta": 100.0}))

    assert trained.metrics["epochs"] == 6


def test_a_plateau_lowers_the_rate_before_the_stop(make_settings: Make) -> None:
    settings = make_settings(train={"epochs": 10, "patience": 5, "min_delta": 100.0})
    schedule = replace(settings.optim.schedule, name="plateau", patience=2)
    settings = replace(settings, optim=replace(settings.optim, schedule=schedule))

    rates = train(settings).history["lr"]

    assert rates == pytest.approx([1e-2, 1e-2, 1e-2, 5e-3, 5e-3, 2.5e-3])


def test_a_schedule_and_its_warm_up_are_followed(make_settings: Make) -> None:
    settings = make_settings(train={"epochs": 4})
    schedule = replace(settings.optim.schedule, name="exponential", gamma=0.5, warmup_epochs=1)

    trained = train(replace(settings, optim=replace(settings.optim, schedule=schedule)))

    assert trained.history["lr"] == pytest.approx([1e-2, 1e-2, 5e-3, 2.5e-3])


@pytest.mark.parametrize(
    "optim", [{"lr": 1e3}, {"lr": 1e30, "name": "sgd"}, {"lr": 1e4, "name": "rmsprop"}]
)
def test_a_diverging_trial_ends_at_once_with_the_guides_remedy(
    make_settings: Make, optim: dict[str, object]
) -> None:
    trained = train(make_settings(optim=optim, train={"epochs": 50}))

    assert trained.state is State.INFEASIBLE
    assert trained.objective is None
    assert trained.weights == {}
    assert trained.metrics["epochs"] == len(trained.history["train_loss"]) < 3
    assert trained.failure is not None
    assert trained.failure.type == "Diverged"
    assert "in epoch 1" in trained.failure.text
    assert "lower the learning rate; try RMSprop" in trained.failure.remedy


def test_a_loss_that_explodes_after_the_last_step_is_seen_by_validation(
    make_settings: Make,
) -> None:
    # One step an epoch: its own loss comes before the weights move.
    trained = train(make_settings(optim={"lr": 1e3}, train={"batch_size": 10_000}))

    assert trained.state is State.INFEASIBLE
    assert trained.failure is not None
    assert trained.failure.text.startswith("the validation loss")


@pytest.mark.slow
def test_a_fresh_process_gives_the_same_bits(make_settings: Make) -> None:
    settings = make_settings(model={"num_layers": 2, "dropout": 0.3})
    train(make_settings(model={"hidden_size": 13}))

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        elsewhere = fresh.submit(train, settings).result()

    assert same(elsewhere, train(settings))


def test_a_constant_target_is_trained_and_not_infeasible(
    make_settings: Make, write: Callable[..., object]
) -> None:
    rows = [f"2020-01-{1 + r // 24:02}T{r % 24:02}:00:00Z,0.1,{r % 5}" for r in range(320)]
    path = write("\n".join(["time_hour,a,b", *rows]))
    data = {"path": str(path), "target": ["a"], "covariates": ["b"]}

    trained = train(make_settings(data=data))

    assert trained.state is State.COMPLETED
    assert trained.objective is not None
    assert trained.objective < 0.1


def test_bad_data_are_the_persons_error_and_never_infeasible(make_settings: Make) -> None:
    with pytest.raises(BadInput, match="need 206 training rows, and there are 200"):
        train(make_settings(data={"lookback": 200}))


def test_a_caller_may_stop_after_an_epoch(make_settings: Make) -> None:
    seen: list[Epoch] = []

    def stop_at_two(epoch: Epoch) -> bool:
        seen.append(epoch)
        return epoch.number == 2

    trained = train(make_settings(train={"epochs": 5}), on_epoch=stop_at_two)

    assert trained.state is State.CANCELLED
    assert [epoch.number for epoch in seen] == [1, 2]
    assert trained.history["val_loss"] == [epoch.val_loss for epoch in seen]
    assert trained.history["lr"] == [epoch.lr for epoch in seen]


def test_a_stop_after_the_last_epoch_is_no_stop(make_settings: Make) -> None:
    trained = train(make_settings(train={"epochs": 2}), on_epoch=lambda epoch: epoch.number == 2)

    assert trained.state is State.COMPLETED


def test_an_epoch_capped_run_is_the_start_of_a_longer_one(make_settings: Make) -> None:
    short, long = (train(make_settings(train={"epochs": epochs})) for epochs in (2, 4))

    assert short.history["val_loss"] == long.history["val_loss"][:2]


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


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused(make_settings: Make) -> None:
    with pytest.raises(BadInput, match="torch sees no GPU here; say auto or cpu"):
        train(make_settings(train={"device": "cuda"}))


def test_the_optimisers_are_the_librarys(make_settings: Make) -> None:
    network = model.build(make_settings(), device=CPU)

    made = {
        name: type(optimizer.build(Optim(name=name), network=network))  # type: ignore[arg-type]
        for name in ("adam", "adamw", "rmsprop", "sgd")
    }

    assert made == {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "rmsprop": torch.optim.RMSprop,
        "sgd": torch.optim.SGD,
    }
