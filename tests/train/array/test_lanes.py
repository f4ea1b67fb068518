"""A trial gives the same bits alone and in any pack, whatever happens to the lanes beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from sweep.errors import BadInput
from sweep.plan.application import Decision
from sweep.plan.settings import Settings
from sweep.plan.trial import State
from sweep.train.array.engines import Tools
from sweep.train.array.opening import NoRoom
from sweep.train.array.recurrence import Operations, States
from sweep.train.loop import train

Make = Callable[..., Settings]
FORM: dict[str, Any] = {"num_layers": 2, "hidden_size": 4}
FEW: dict[str, Any] = {"lookback": 4, "split": [120, 30, 30]}  # 111 windows: four steps an epoch


def variety(make_settings: Make, count: int, **train_options: Any) -> list[Settings]:
    """Trials of one form that differ in all that may differ."""
    optimizers = ["adam", "adamw", "rmsprop", "sgd"]
    return [
        make_settings(
            data=FEW,
            model={**FORM, "dropout": 0.1 * (n % 4), "activation": ["tanh", "relu"][n % 2]},
            optim={
                "name": optimizers[n % 4],
                "lr": 1e-2 / (1 + n),
                "weight_decay": 1e-3 * (n % 2),
                "clip_norm": [None, 0.3, 1.0][n % 3],
            },
            train={"seed": n // 2, "epochs": 1 + n % 3, "loss": ["mse", "mae"][n % 2]}
            | train_options,
        )
        for n in range(count)
    ]


def test_alone_in_any_pack_and_at_any_place(
    make_settings: Make, train_at_once: Any, bits_of: Any
) -> None:
    configs = variety(make_settings, 5)

    alone = [bits_of(train_at_once([config])[0]) for config in configs]

    assert [bits_of(each) for each in train_at_once(configs)] == alone
    backward = train_at_once(configs[::-1])
    assert [bits_of(each) for each in reversed(backward)] == alone


@pytest.mark.parametrize(
    ("data", "model", "loss"),
    [
        ({"normalization": "revin"}, {"segment": 2}, {"loss": "quantile"}),
        ({}, {"bidirectional": True, "pooling": "max"}, {}),
        ({"layout": "channel"}, {"bidirectional": True, "pooling": "max"}, {}),
        ({"horizon": 1, "covariates": []}, {}, {}),
    ],
)
def test_other_forms_in_any_pack(
    make_settings: Make, train_at_once: Any, bits_of: Any, data: Any, model: Any, loss: Any
) -> None:
    first = variety(make_settings, 3, **loss)
    configs = [
        replace(c, data=replace(c.data, **data), model=replace(c.model, **model)) for c in first
    ]
    wild = replace(configs[0], optim=replace(configs[0].optim, name="sgd", lr=1e30))

    alone = [bits_of(train_at_once([config])[0]) for config in configs]

    assert [bits_of(each) for each in train_at_once([wild, *configs])[1:]] == alone
    assert [bits_of(each) for each in train_at_once(configs, width=2)] == alone


def test_lanes_that_are_refilled_give_the_same_bits(
    make_settings: Make, train_at_once: Any, bits_of: Any
) -> None:
    configs = variety(make_settings, 6)

    wide = [bits_of(each) for each in train_at_once(configs)]

    for width in (2, 4):
        assert [bits_of(each) for each in train_at_once(configs, width=width)] == wide


def test_what_diverges_beside_it_does_not_touch_a_trial(
    make_settings: Make, train_at_once: Any, bits_of: Any
) -> None:
    good = variety(make_settings, 3)
    wild = [
        replace(good[0], optim=replace(good[0].optim, lr=lr, name=name, clip_norm=None))
        for lr, name in ((1e30, "sgd"), (1e4, "rmsprop"), (1e3, "adam"))
    ]

    found = train_at_once([wild[0], good[0], wild[1], good[1], good[2], wild[2]])

    assert [found[n].state for n in (0, 2, 5)] == [State.INFEASIBLE] * 3
    for place, config in ((1, good[0]), (3, good[1]), (4, good[2])):
        assert bits_of(found[place]) == bits_of(train_at_once([config])[0])


class Small(Operations):
    """Runs out of memory where more than so many lanes are asked for."""

    def __init__(self, room: int, *, after: int = 0) -> None:
        self.room = room
        self.calls_left = after

    def forward(self, projected: Tensor, weight: Tensor, **rest: Any) -> States:
        self.calls_left -= 1
        if len(projected) > self.room and self.calls_left < 0:
            raise torch.OutOfMemoryError(f"no room for {len(projected)} lanes")
        return super().forward(projected, weight, **rest)


@pytest.mark.parametrize("after", [0, 30])
def test_out_of_memory_halves_the_lanes_and_loses_no_trial(
    make_settings: Make,
    queue_of: Any,
    train_at_once: Any,
    bits_of: Any,
    caplog: pytest.LogCaptureFixture,
    after: int,
) -> None:
    configs = variety(make_settings, 6)
    queue = queue_of(configs)

    found = queue.run(tools=Tools(Small(2, after=after)))

    said = [record.getMessage() for record in caplog.records]
    assert said == [f"array: memory ran out, going on with {lanes} lanes" for lanes in (3, 1)]
    assert [bits_of(each) for each in found] == [bits_of(each) for each in train_at_once(configs)]
    for number, told in queue.told.items():  # no epoch is told twice
        assert told == list(range(1, int(found[number].metrics["epochs"]) + 1))


def test_a_trial_that_does_not_fit_alone_fails_and_the_others_go_on(
    make_settings: Make, queue_of: Any
) -> None:
    configs = variety(make_settings, 3)

    found = queue_of(configs).run(tools=Tools(Small(0)))

    assert all(isinstance(each, NoRoom) for each in found)
    assert "an array of 1 lanes needs more memory than there is" in str(found[0])


def test_trials_of_other_forms_follow_in_arrays_of_their_own(
    make_settings: Make, queue_of: Any, close: Any
) -> None:
    configs = [
        make_settings(),
        make_settings(model={"hidden_size": 5}),
        make_settings(data={"lookback": 7}),
        make_settings(train={"seed": 4}),
    ]

    for ours, config in zip(queue_of(configs).run(), configs, strict=True):
        close(ours, train(config), tolerance=2e-3)


def test_data_that_cannot_be_used_fails_its_trial_alone(
    make_settings: Make, queue_of: Any, bits_of: Any
) -> None:
    good = make_settings()
    bad = make_settings(data={"target": ["nothing of that name"]})

    first, second, third = queue_of([good, bad, good]).run()

    assert isinstance(second, BadInput)
    assert "nothing of that name" in str(second)
    assert bits_of(first) == bits_of(third)


def test_a_trial_that_is_told_to_stop_is_cancelled_unless_it_was_done(
    make_settings: Make, queue_of: Any
) -> None:
    config = make_settings(train={"epochs": 4})

    decisions = {(0, 2): Decision.STOP, (1, 4): Decision.STOP}
    cut, done = queue_of([config, config], decisions=decisions).run()

    assert (cut.state, cut.metrics["epochs"]) == (State.CANCELLED, 2)
    assert (done.state, done.metrics["epochs"]) == (State.COMPLETED, 4)


class Cut(BaseException):
    """Stands for the end of a process."""


@dataclass
class Pocket:
    """Keeps a trial's last checkpoint."""

    last: bytes | None = None
    rejected: list[str] = field(default_factory=list)

    def reject(self, why: str) -> None:
        self.rejected.append(why)

    def wanted(self) -> bool:
        return False

    def keep(self, state: bytes) -> None:
        self.last = state


class Asks:
    """Wants checkpoints at the n-th question, and ends the process then."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0

    def end(self) -> None:
        raise Cut


def interrupted(queue_of: Any, configs: list[Settings], at: int) -> dict[int, Pocket]:
    pockets = {number: Pocket() for number in range(len(configs))}
    asks = Asks(at)
    queue = queue_of(configs, checkpoints=pockets, asks=asks, after_keeping=asks.end)
    with pytest.raises(Cut):
        queue.run()
    return pockets


@pytest.mark.parametrize("at", [0, 1, 3])
def test_every_lane_goes_on_from_its_checkpoint_in_whatever_company(
    make_settings: Make, queue_of: Any, train_at_once: Any, bits_of: Any, at: int
) -> None:
    # 19 steps an epoch: the array asks before the first and before the seventeenth.
    configs = [replace(c, train=replace(c.train, batch_size=6)) for c in variety(make_settings, 4)]
    undisturbed = [bits_of(each) for each in train_at_once(configs)]

    pockets = interrupted(queue_of, configs, at)

    kept = [number for number, pocket in pockets.items() if pocket.last is not None]
    together = queue_of(configs, checkpoints=pockets).run()
    alone = [queue_of([configs[n]], checkpoints={0: pockets[n]}).run()[0] for n in kept]
    newcomer = queue_of([*configs, configs[0]], checkpoints=pockets).run(width=3)
    assert not any(pocket.rejected for pocket in pockets.values())
    assert [bits_of(each) for each in together] == undisturbed
    assert [bits_of(each) for each in alone] == [undisturbed[n] for n in kept]
    assert [bits_of(each) for each in newcomer] == [*undisturbed, undisturbed[0]]


def test_checkpoints_pass_between_the_array_and_torch(
    make_settings: Make, queue_of: Any, close: Any
) -> None:
    configs = variety(make_settings, 4, precision="float64", epochs=4)
    pockets = interrupted(queue_of, configs, 2)

    for number, config in enumerate(configs):
        went_on = train(config, checkpoints=pockets[number])
        close(went_on, train(config), tolerance=1e-10)
    assert not any(pocket.rejected for pocket in pockets.values())


def test_a_checkpoint_that_cannot_be_read_is_rejected(
    make_settings: Make, queue_of: Any, train_at_once: Any, bits_of: Any
) -> None:
    config = make_settings()
    pocket = Pocket(last=b"no archive")

    (found,) = queue_of([config], checkpoints={0: pocket}).run()

    assert len(pocket.rejected) == 1
    assert bits_of(found) == bits_of(train_at_once([config])[0])


def test_a_trial_rests_at_a_rung_and_goes_on_with_the_same_bits(
    make_settings: Make, queue_of: Any, train_at_once: Any, bits_of: Any
) -> None:
    configs = [replace(c, train=replace(c.train, epochs=4)) for c in variety(make_settings, 4)]
    undisturbed = [bits_of(each) for each in train_at_once(configs)]
    pauses = {(0, 1): Decision.PAUSE, (2, 3): Decision.PAUSE}

    rested = queue_of(configs, decisions=pauses).run(width=2)
    states = [each.state for each in rested]
    pockets = {n: Pocket(last=rested[n].checkpoint) for n in (0, 2)}
    again = queue_of(configs, decisions=pauses, checkpoints=pockets)
    still = again.run()  # asked once more about the epoch where it rests
    went_on = queue_of(configs, checkpoints=pockets).run()

    assert states == [State.PAUSED, State.COMPLETED, State.PAUSED, State.COMPLETED]
    assert [bits_of(rested[n]) for n in (1, 3)] == [undisturbed[n] for n in (1, 3)]
    assert [still[n].state for n in (0, 2)] == [State.PAUSED] * 2
    assert again.told[0] == [1]
    assert again.told[2] == [3]
    assert [bits_of(each) for each in went_on] == undisturbed
