from __future__ import annotations

from typing import Any

import pytest

from sweep.plan.curves import jump, overfit, rise, still_improving, unstable
from sweep.plan.trial import Record, State


def completed(trial: int, objective: float, **more: Any) -> Record:
    return Record(trial, State.COMPLETED, objective, **more)


@pytest.mark.parametrize(("best", "answer"), [(20, True), (15, False)])
def test_a_trial_whose_best_epoch_is_its_last_was_still_improving(
    best: float, answer: bool
) -> None:
    record = completed(0, 0.1, metrics={"best_epoch": best, "epochs": 20})

    assert still_improving(record) is answer


@pytest.mark.parametrize(("curve", "answer"), [([3, 2, 1], True), ([3, 1, 2], False)])
def test_without_the_trainers_word_the_curve_tells(curve: list[float], answer: bool) -> None:
    assert still_improving(completed(0, 0.1, history={"val_loss": curve})) is answer


def test_without_a_curve_nothing_is_known() -> None:
    assert still_improving(completed(0, 0.1)) is None
    assert overfit(completed(0, 0.1)) is None


@pytest.mark.parametrize(
    ("train", "val", "answer"),
    [
        ([0.5, 0.3, 0.2, 0.1], [0.40, 0.30, 0.32, 0.34], True),
        ([0.5, 0.3, 0.2, 0.1], [0.40, 0.30, 0.31, 0.32], False),  # less than the threshold
        ([0.5, 0.3, 0.4, 0.4], [0.40, 0.30, 0.32, 0.34], False),  # training got worse too
        ([0.5, 0.3], [0.3, 0.4], None),  # too short
        ([0.5, 0.3, None], [0.3, 0.4, 0.5], None),  # not finite at one epoch
    ],
)
def test_overfitting_is_validation_up_while_training_goes_down(
    train: list[float | None], val: list[float | None], answer: bool | None
) -> None:
    record = completed(0, 0.1, history={"train_loss": train, "val_loss": val})

    assert overfit(record) is answer


@pytest.mark.parametrize(
    ("train", "answer"),
    [
        ([0.5, 0.4, 0.3, 0.2], False),
        ([0.5, 0.4, 0.45, 0.3], False),  # a wobble
        ([0.5, 0.2, 0.4, 0.1], True),  # twice its lowest
        ([0.5, 0.2], None),  # too short
        ([], None),
    ],
)
def test_unstable_is_a_training_loss_that_jumps(train: list[float], answer: bool | None) -> None:
    assert unstable(completed(0, 0.1, history={"train_loss": train})) is answer


def test_a_trial_that_diverged_was_unstable_whatever_its_curve() -> None:
    assert unstable(Record(0, State.INFEASIBLE)) is True


def test_rise_and_jump_are_shares_of_the_lowest_loss() -> None:
    history = {"train_loss": [0.5, 0.2, 0.3], "val_loss": [0.6, 0.4, 0.5]}
    record = completed(0, 0.1, history=history)

    assert rise(record) == pytest.approx(0.25)
    assert jump(record) == pytest.approx(0.5)
    assert rise(completed(0, 0.1)) == jump(completed(0, 0.1)) == 0
