from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from sweep.errors import BadInput
from sweep.plan.application import Decision
from sweep.plan.settings import Settings
from sweep.plan.trial import State
from sweep.train import model
from sweep.train.feed import open_feed
from sweep.train.loop import train
from sweep.train.score import score
from sweep.train.story import Epoch

Make = Callable[..., Settings]
CPU = torch.device("cpu")


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
    examples = open_feed(settings)
    feed, windows = examples.feed, examples.windows
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

    def stop_at_two(epoch: Epoch) -> Decision:
        seen.append(epoch)
        return Decision.STOP if epoch.number == 2 else Decision.GO_ON

    trained = train(make_settings(train={"epochs": 5}), on_epoch=stop_at_two)

    assert trained.state is State.CANCELLED
    assert [epoch.number for epoch in seen] == [1, 2]
    assert trained.history["val_loss"] == [epoch.val_loss for epoch in seen]
    assert trained.history["lr"] == [epoch.lr for epoch in seen]


@pytest.mark.parametrize("answer", [Decision.STOP, Decision.PAUSE])
def test_after_the_last_epoch_nothing_is_decided(make_settings: Make, answer: Decision) -> None:
    trained = train(make_settings(train={"epochs": 1}), on_epoch=lambda _: answer)

    assert trained.state is State.COMPLETED
    assert trained.checkpoint is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused(make_settings: Make) -> None:
    with pytest.raises(BadInput, match="torch sees no GPU here; say auto or cpu"):
        train(make_settings(train={"device": "cuda"}))
