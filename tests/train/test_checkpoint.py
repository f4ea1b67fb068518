"""A trial that goes on from a checkpoint gives the bits of one that was never disturbed."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep.plan.application import Decision
from sweep.plan.settings import Schedule, Settings
from sweep.plan.trial import State
from sweep.train.loop import Trained, train
from sweep.train.story import Epoch

Make = Callable[..., Settings]
STEPS = 6  # an epoch: 183 windows in batches of 32
EPOCHS = 5


class Cut(BaseException):
    """Stands for the end of a process."""


@dataclass
class Pocket:
    """Keep a checkpoint before each step named in `at`; end where `ends` is reached."""

    at: set[int] = field(default_factory=set)
    ends: int | None = None
    last: bytes | None = None
    rejected: list[str] = field(default_factory=list)
    step: int = -1

    def reject(self, why: str) -> None:
        self.rejected.append(why)

    def wanted(self) -> bool:
        self.step += 1
        if self.step == self.ends and self.ends not in self.at:
            raise Cut  # a kill: nothing is kept
        return self.step in self.at or self.step == self.ends

    def keep(self, state: bytes) -> None:
        self.last = state
        if self.step == self.ends:
            raise Cut


def same(one: Trained, other: Trained) -> bool:
    """Equal to the last bit."""
    return (
        (one.state, one.objective, one.failure) == (other.state, other.objective, other.failure)
        and one.metrics == other.metrics
        and one.history == other.history
        and one.weights.keys() == other.weights.keys()
        and all(one.weights[n].tobytes() == other.weights[n].tobytes() for n in one.weights)
    )


def interrupted(config: Settings, end: int, **pocket: Any) -> bytes | None:
    """Train until step `end`; return the last checkpoint."""
    own = Pocket(ends=end, **pocket)
    with pytest.raises(Cut):
        train(config, checkpoints=own)
    return own.last


def kept_at(config: Settings, at: int) -> bytes:
    kept = interrupted(config, at, at={at})
    assert kept is not None
    return kept


def resumed(config: Settings, kept: bytes | None) -> Trained:
    pocket = Pocket(last=kept)
    trained = train(config, checkpoints=pocket)
    assert not pocket.rejected
    return trained


OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adam": {"name": "adam", "l1": 1e-4},
    "adamw": {"name": "adamw", "weight_decay": 1e-2},
    "rmsprop": {"name": "rmsprop", "clip_norm": 0.1},
    "sgd": {"name": "sgd", "momentum": 0.9, "weight_decay": 1e-3},
    "sgd without momentum": {"name": "sgd", "momentum": 0.0},
}
SCHEDULES = {
    "constant": Schedule(),
    "step": Schedule(name="step", step_epochs=2),
    "exponential": Schedule(name="exponential", warmup_epochs=2),
    "cosine": Schedule(name="cosine", warmup_epochs=1),
    "plateau": Schedule(name="plateau", patience=1),
}
KINDS: dict[str, dict[str, Any]] = {
    "dropout": {"model": {"num_layers": 2, "dropout": 0.3, "output_dropout": 0.2}},
    "relu": {"model": {"activation": "relu"}},
    "revin": {"data": {"normalization": "revin"}},
    "channel": {"data": {"layout": "channel", "normalization": "last"}},
    "float64": {"train": {"precision": "float64", "loss": "mae"}},
}


def with_schedule(config: Settings, schedule: Schedule) -> Settings:
    return replace(config, optim=replace(config.optim, schedule=schedule))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_any_optimiser_and_schedule_goes_on_in_the_middle_of_an_epoch(
    make_settings: Make, optimizer: str, schedule: str
) -> None:
    config = make_settings(optim=OPTIMIZERS[optimizer], train={"epochs": EPOCHS})
    config = with_schedule(config, SCHEDULES[schedule])

    kept = kept_at(config, 2 * STEPS + 3)

    assert same(resumed(config, kept), train(config))


@pytest.mark.parametrize("kind", KINDS)
def test_any_network_goes_on_with_the_same_bits(make_settings: Make, kind: str) -> None:
    config = make_settings(**KINDS[kind])

    kept = kept_at(config, STEPS + 2)

    assert same(resumed(config, kept), train(config))


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.integers(0, EPOCHS * STEPS - 1), min_size=1, max_size=3))
def test_however_often_and_wherever_it_is_told_to_stop(make_settings: Make, at: list[int]) -> None:
    config = make_settings(
        model={"num_layers": 2, "dropout": 0.2}, train={"epochs": EPOCHS, "patience": 2}
    )
    kept: bytes | None = None
    for step in sorted(at):
        pocket = Pocket(at={step}, ends=step, last=kept)
        pocket.step += _steps_in(kept)
        with pytest.raises(Cut):
            train(config, checkpoints=pocket)
        kept = pocket.last

    assert same(resumed(config, kept), train(config))


def _steps_in(kept: bytes | None) -> int:
    if kept is None:
        return 0
    about = about_of(kept)
    return int(len(about["epochs"]) * STEPS + about["part"]["steps"])


def test_after_a_kill_it_goes_on_from_the_last_checkpoint_that_was_kept(
    make_settings: Make,
) -> None:
    config = make_settings()

    kept = interrupted(config, 14, at={4, 9})

    assert kept is not None
    assert _steps_in(kept) == 9
    assert same(resumed(config, kept), train(config))


def test_early_stopping_counts_on_where_it_stood(make_settings: Make) -> None:
    config = make_settings(train={"epochs": 12, "patience": 3, "min_delta": 100.0})

    kept = kept_at(config, 3 * STEPS)  # two epochs without improvement are behind it

    assert same(resumed(config, kept), train(config))
    assert resumed(config, kept).metrics["epochs"] == 4


def test_a_trial_that_diverges_later_diverges_in_the_same_epoch(make_settings: Make) -> None:
    schedule = Schedule(name="constant", warmup_epochs=6)
    config = with_schedule(make_settings(optim={"lr": 2e2}, train={"epochs": 10}), schedule)
    undisturbed = train(config)
    assert undisturbed.state is State.INFEASIBLE
    assert undisturbed.metrics["epochs"] >= 1

    assert same(resumed(config, kept_at(config, STEPS)), undisturbed)


def test_only_the_epochs_that_are_left_are_told(make_settings: Make) -> None:
    config = make_settings(train={"epochs": EPOCHS})
    told: list[int] = []

    def tell(epoch: Epoch) -> Decision:
        told.append(epoch.number)
        return Decision.GO_ON

    train(config, on_epoch=tell, checkpoints=Pocket(last=kept_at(config, 3 * STEPS + 1)))

    assert told == [4, 5]


def test_a_trial_that_rests_goes_on_with_the_same_bits(make_settings: Make) -> None:
    config = make_settings(train={"epochs": EPOCHS})

    resting = train(config, on_epoch=pausing_at(2))
    again = train(config, on_epoch=pausing_at(2), checkpoints=Pocket(last=resting.checkpoint))
    whole = train(config, on_epoch=pausing_at(EPOCHS), checkpoints=Pocket(last=again.checkpoint))

    assert [resting.state, again.state] == [State.PAUSED, State.PAUSED]
    assert len(resting.history["val_loss"]) == len(again.history["val_loss"]) == 2
    assert same(whole, train(config))


def pausing_at(epochs: int) -> Callable[[Epoch], Decision]:
    return lambda epoch: Decision.PAUSE if epoch.number >= epochs else Decision.GO_ON


def about_of(kept: bytes) -> dict[str, Any]:
    with np.load(io.BytesIO(kept)) as file:
        found: dict[str, Any] = json.loads(file["about"].tobytes())
    return found


def changed(kept: bytes, **about: Any) -> bytes:
    with np.load(io.BytesIO(kept)) as file:
        arrays = {name: file[name] for name in file.files}
    text = json.dumps({**about_of(kept), **about}).encode()
    buffer = io.BytesIO()
    np.savez(buffer, **{**arrays, "about": np.frombuffer(text, dtype=np.uint8)})
    return buffer.getvalue()


class Trap:
    """Executes something when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("it was executed",))


def pickled(kept: bytes) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, about=np.array([Trap()], dtype=object))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda kept: b"", "cannot be read"),
        (lambda kept: b"no archive", "cannot be read"),
        (lambda kept: kept[: len(kept) // 2], "cannot be read"),
        (lambda kept: kept[:4000] + bytes(8) + kept[4008:], "cannot be read"),
        (lambda kept: pickle.dumps(Trap()), "cannot be read"),
        (pickled, "cannot be read"),
        (lambda kept: changed(kept, format=2), "format 2, this version reads 1"),
        (lambda kept: changed(kept, data="other"), "other data"),
        (lambda kept: changed(kept, part={}, progress={"x": 1}), "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_rejected_and_the_trial_begins_from_its_seed(
    make_settings: Make,
    capfd: pytest.CaptureFixture[str],
    damage: Callable[[bytes], bytes],
    why: str,
) -> None:
    config = make_settings()
    pocket = Pocket(last=damage(kept_at(config, 8)))

    trained = train(config, checkpoints=pocket)

    assert len(pocket.rejected) == 1
    assert why in pocket.rejected[0]
    assert same(trained, train(config))
    assert "executed" not in capfd.readouterr().out


def test_a_checkpoint_of_another_shape_is_rejected(make_settings: Make) -> None:
    pocket = Pocket(last=kept_at(make_settings(model={"hidden_size": 9}), 8))

    trained = train(make_settings(), checkpoints=pocket)

    assert pocket.rejected == ["it is of a network of another shape"]
    assert same(trained, train(make_settings()))
