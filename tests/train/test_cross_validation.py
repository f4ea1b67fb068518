"""Folds of one trial: trained side by side, averaged, and followed by one more network."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from sweep.plan.application import Decision
from sweep.plan.settings import Data, Model, Optim, Settings, Train
from sweep.plan.trial import State
from sweep.train.folds import folds, last_fold
from sweep.train.loop import Trained, train
from sweep.train.predict import predictor
from sweep.train.score import errors, score
from sweep.train.story import Epoch

Make = Callable[..., Settings]
VOWELS = Settings(
    data=Data(
        name="japanese_vowels",
        kind="sequences",
        target=["speaker"],
        covariates=[f"lpc{n}" for n in range(1, 13)],
        classes=[str(n) for n in range(1, 10)],
        split=[0.8, 0.2, 0],
        folds=2,
    ),
    model=Model(hidden_size=6, head="softmax", pooling="mean"),
    optim=Optim(lr=0.02),
    train=Train(loss="cross_entropy", epochs=2, device="cpu", batch_size=45),
)


class Cut(BaseException):
    """Stands for the end of a process."""


@dataclass
class Pocket:
    """Keep a checkpoint at one step, and end there."""

    at: int
    last: bytes | None = None
    rejected: list[str] = field(default_factory=list)
    step: int = -1

    def reject(self, why: str) -> None:
        self.rejected.append(why)

    def wanted(self) -> bool:
        self.step += 1
        return self.step == self.at

    def keep(self, state: bytes) -> None:
        self.last = state
        raise Cut


def same(one: Trained, other: Trained) -> bool:
    return (
        (one.objective, one.metrics, one.history) == (other.objective, other.metrics, other.history)
    ) and all(one.weights[n].tobytes() == other.weights[n].tobytes() for n in one.weights)


def at_2(decision: Decision) -> Callable[[Epoch], Decision]:
    return lambda epoch: decision if epoch.number == 2 else Decision.GO_ON


def of_series(make: Make, **train_: object) -> Settings:
    own = {"epochs": 4, "patience": 2} | train_
    return make(data={"folds": 2, "lookback": 8}, train=own, optim={"lr": 2e-2})


def test_the_objective_is_the_mean_over_folds_of_their_best_epochs(make_settings: Make) -> None:
    settings = of_series(make_settings)
    told: list[Epoch] = []

    def tell(epoch: Epoch) -> Decision:
        told.append(epoch)
        return Decision.GO_ON

    trained = train(settings, on_epoch=tell)

    own = [trained.metrics[f"val_mse_fold_{n}"] for n in (1, 2)]
    assert trained.objective == trained.metrics["val_mse"] == statistics.fmean(own)
    assert trained.metrics["val_mse_sd"] == statistics.stdev(own)
    assert [epoch.number for epoch in told] == list(range(1, len(told) + 1))
    assert trained.history["val_loss"] == [epoch.val_loss for epoch in told]
    assert told[-1].best == pytest.approx(trained.objective)


def test_the_kept_weights_are_of_a_network_that_saw_both_parts(make_settings: Make) -> None:
    settings = of_series(make_settings)

    trained = train(settings)
    again = train(settings)

    assert same(trained, again)
    assert score(settings, weights=trained.weights, part="test").keys() == {"test_mse", "test_mae"}
    assert predictor(settings, weights=trained.weights).settings == settings
    plain = replace(settings, data=replace(settings.data, folds=1))
    assert train(plain).weights["head.bias"].tobytes() != trained.weights["head.bias"].tobytes()


def test_the_refit_takes_as_many_epochs_as_were_best_in_the_median_fold() -> None:
    settings = replace(VOWELS, train=replace(VOWELS.train, epochs=3))

    trained = train(settings)
    steps = []

    class Counting(Pocket):
        def wanted(self) -> bool:
            steps.append(1)
            return False

    train(settings, checkpoints=Counting(at=-1))
    batches = 3  # of 135 utterances in a fold; 6 of 270 in the refit
    assert len(steps) == 2 * 3 * batches + int(trained.metrics["best_epoch"]) * 6


@pytest.mark.parametrize("at", [0, 4, 7, 11, 14, 20])
def test_a_trial_of_folds_goes_on_with_the_same_bits(at: int) -> None:
    pocket = Pocket(at)
    with pytest.raises(Cut):
        train(VOWELS, checkpoints=pocket)

    later = Pocket(at=-1, last=pocket.last)
    resumed = train(VOWELS, checkpoints=later)

    assert not later.rejected
    assert same(resumed, train(VOWELS))


def test_a_checkpoint_of_another_division_is_rejected() -> None:
    pocket = Pocket(3)
    with pytest.raises(Cut):
        train(VOWELS, checkpoints=pocket)
    other = replace(VOWELS, data=replace(VOWELS.data, folds=3))

    later = Pocket(at=-1, last=pocket.last)
    trained = train(other, checkpoints=later)

    assert later.rejected
    assert same(trained, train(other))


def test_an_order_to_stop_cancels_all_folds(make_settings: Make) -> None:
    trained = train(of_series(make_settings, epochs=5), on_epoch=at_2(Decision.STOP))

    assert trained.state is State.CANCELLED
    assert trained.metrics["epochs"] == 2
    assert not trained.weights


def test_all_folds_rest_at_an_epoch_and_go_on_with_the_same_bits() -> None:
    settings = replace(VOWELS, train=replace(VOWELS.train, epochs=3))

    resting = train(settings, on_epoch=at_2(Decision.PAUSE))
    later = Pocket(at=-1, last=resting.checkpoint)
    told: list[int] = []

    def tell(epoch: Epoch) -> Decision:
        told.append(epoch.number)
        return Decision.GO_ON

    assert resting.state is State.PAUSED
    assert same(train(settings, on_epoch=tell, checkpoints=later), train(settings))
    assert told == [2, 3]


def test_a_fold_that_diverges_makes_the_trial_infeasible(make_settings: Make) -> None:
    settings = of_series(make_settings)
    trained = train(replace(settings, optim=replace(settings.optim, lr=1e30, name="sgd")))

    assert trained.state is State.INFEASIBLE
    assert trained.failure is not None
    assert "in epoch 1" in trained.failure.text


def test_a_plateau_s_rate_falls_in_the_refit_as_it_did_in_the_median_fold(
    make_settings: Make,
) -> None:
    settings = of_series(make_settings, epochs=6, patience=5)
    schedule = replace(settings.optim.schedule, name="plateau", patience=1)
    trained = train(replace(settings, optim=replace(settings.optim, schedule=schedule)))

    assert trained.state is State.COMPLETED


def test_the_errors_of_a_classifier_are_0_or_1_and_average_to_its_score() -> None:
    trained = train(VOWELS)

    each = errors(VOWELS, weights=trained.weights, part="test")

    assert set(each) <= {0.0, 1.0}
    assert each.mean() == score(VOWELS, weights=trained.weights, part="test")["test_error"]
    assert trained.objective == trained.metrics["val_error"]
    assert len(trained.history["val_error"]) == 2


def test_a_plain_split_has_no_folds() -> None:
    plain = replace(VOWELS.data, folds=1)

    assert last_fold(plain) is None
    assert len(folds(plain)) == 1
