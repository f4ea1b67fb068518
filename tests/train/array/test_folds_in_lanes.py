"""Each fold of a trial is a lane; the trial comes to what it would fold by fold on torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch

from sweep.plan.application import Decision
from sweep.plan.settings import Schedule, Settings
from sweep.plan.trial import State
from sweep.train.array.engines import Tools
from sweep.train.array.recurrence import Operations, States
from sweep.train.checkpoint import split
from sweep.train.loop import train

Make = Callable[..., Settings]
# 100 rows in folds of 33, 66 and 100: 29, 62 and 96 windows, so 3, 6 and 8 steps an epoch.
DATA: dict[str, Any] = {"lookback": 4, "split": [80, 20, 20], "folds": 2}


def crossed(make_settings: Make, **changes: dict[str, Any]) -> Settings:
    groups: dict[str, dict[str, Any]] = {
        "data": DATA,
        "model": {"hidden_size": 4},
        "train": {"precision": "float64", "epochs": 4, "batch_size": 12},
        "optim": {"lr": 2e-2},
    }
    return make_settings(**{name: own | changes.get(name, {}) for name, own in groups.items()})


def variety(make_settings: Make, count: int, **train_: Any) -> list[Settings]:
    """Trials of one form that differ in what may differ, and stop at different epochs."""
    names = ["adam", "sgd", "rmsprop", "adamw"]
    return [
        crossed(
            make_settings,
            optim={"name": names[n % 4], "lr": 0.02 + 0.01 * n, "weight_decay": 1e-3 * (n % 2)},
            model={"output_dropout": 0.1 * (n % 3)},
            train={"seed": n, "epochs": 2 + n % 3, "patience": [1, None][n % 2]} | train_,
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("schedule", ["constant", "plateau", "cosine"])
def test_a_trial_of_folds_comes_to_what_torch_comes_to(
    make_settings: Make, train_at_once: Any, close: Any, schedule: Any
) -> None:
    own = Schedule(name=schedule, patience=0, warmup_epochs=int(schedule == "cosine"))
    made = [
        crossed(make_settings, train={"epochs": 9, "patience": None}),
        crossed(make_settings, train={"epochs": 9, "patience": 1}, optim={"lr": 0.2}),
        crossed(make_settings, train={"epochs": 6, "seed": 2}, optim={"name": "sgd", "lr": 0.1}),
    ]
    configs = [replace(c, optim=replace(c.optim, schedule=own)) for c in made]

    for ours, config in zip(train_at_once(configs), configs, strict=True):
        theirs = train(config)
        close(ours, theirs, tolerance=1e-9)
        assert ours.metrics.keys() == theirs.metrics.keys()
        for name, value in theirs.metrics.items():
            assert ours.metrics[name] == pytest.approx(value, rel=1e-9)
        assert ours.objective == pytest.approx(theirs.objective, rel=1e-9)


def test_in_any_company_and_however_few_slots_there_are_the_bits_are_the_same(
    make_settings: Make, train_at_once: Any, bits_of: Any
) -> None:
    configs = variety(make_settings, 5, precision="float32")

    alone = [bits_of(train_at_once([config])[0]) for config in configs]

    assert [bits_of(each) for each in train_at_once(configs)] == alone
    assert [bits_of(each) for each in train_at_once(configs, width=2)] == alone
    assert len({str(each) for each in alone}) == len(configs)


def test_a_trial_whose_fold_diverges_is_infeasible_in_the_same_words(
    make_settings: Make, train_at_once: Any, close: Any, bits_of: Any
) -> None:
    good = crossed(make_settings)
    bad = [
        crossed(make_settings, optim={"name": "sgd", "lr": 1e30}),
        crossed(make_settings, optim={"name": "rmsprop", "lr": 1e4}),
    ]

    found = train_at_once([bad[0], good, bad[1]])

    for ours, config in ((found[0], bad[0]), (found[2], bad[1])):
        assert ours.state is State.INFEASIBLE
        close(ours, train(config), tolerance=1e-9)
    assert bits_of(found[1]) == bits_of(train_at_once([good])[0])


class Cut(BaseException):
    """Stands for the end of a process."""


@dataclass
class Pocket:
    """Keeps a trial's last checkpoint."""

    last: bytes | None = None
    at: int = -1  # question at which torch's own loop keeps one, and the process ends
    rejected: list[str] = field(default_factory=list)

    def reject(self, why: str) -> None:
        self.rejected.append(why)

    def wanted(self) -> bool:
        self.at -= 1
        return self.at == -1

    def keep(self, state: bytes) -> None:
        self.last = state
        if self.at == -1:
            raise Cut


def interrupted(queue_of: Any, configs: list[Settings], *, question: int) -> dict[int, Pocket]:
    pockets = {number: Pocket(at=-2) for number in range(len(configs))}
    asked = []

    def asks() -> bool:
        asked.append(1)
        return len(asked) == question

    def end() -> None:
        raise Cut

    queue = queue_of(configs, checkpoints=pockets, asks=asks, after_keeping=end)
    with pytest.raises(Cut):
        queue.run(width=2)
    return pockets


# The second fold has 20 steps an epoch, the first 9: at the second question they have taken 16 and
# 5. At the sixth, eighth and twelfth one trial trains on all, beside others that are in their
# folds; at the twelfth one has a fold that is over and one that is not.
@pytest.mark.parametrize("question", [1, 2, 4, 6, 8, 12])
def test_interrupted_every_trial_goes_on_with_the_same_bits(
    make_settings: Make, queue_of: Any, train_at_once: Any, bits_of: Any, question: int
) -> None:
    configs = variety(make_settings, 3, batch_size=3)
    undisturbed = [bits_of(each) for each in train_at_once(configs)]

    pockets = interrupted(queue_of, configs, question=question)

    assert any(pocket.last for pocket in pockets.values())
    again = queue_of(configs, checkpoints=pockets).run()
    assert [bits_of(each) for each in again] == undisturbed
    assert not any(pocket.rejected for pocket in pockets.values())


@pytest.mark.parametrize("question", [2, 6, 8])
def test_its_checkpoints_are_read_by_torch(
    make_settings: Make, queue_of: Any, close: Any, question: int
) -> None:
    configs = variety(make_settings, 2, batch_size=3)

    pockets = interrupted(queue_of, configs, question=question)

    for config, pocket in zip(configs, pockets.values(), strict=True):
        close(train(config, checkpoints=pocket), train(config), tolerance=1e-9)
        assert not pocket.rejected


@pytest.mark.parametrize(("at", "networks"), [(1, 2), (12, 2), (25, 2), (40, 3)])
def test_it_reads_those_of_torch(
    make_settings: Make, queue_of: Any, close: Any, at: int, networks: int
) -> None:
    config = crossed(make_settings, train={"batch_size": 6, "epochs": 2, "patience": None})
    pocket = Pocket(at=at)
    with pytest.raises(Cut):
        train(config, checkpoints=pocket)
    assert pocket.last is not None
    assert len(split(pocket.last)) == networks

    pocket.at = -2
    (found,) = queue_of([config], checkpoints={0: pocket}).run()

    assert not pocket.rejected
    close(found, train(config), tolerance=1e-9)


def test_a_checkpoint_of_another_division_is_rejected(
    make_settings: Make, queue_of: Any, train_at_once: Any, bits_of: Any
) -> None:
    config = crossed(make_settings)
    pocket = Pocket(at=3)
    with pytest.raises(Cut):
        train(config, checkpoints=pocket)
    other = replace(config, data=replace(config.data, folds=3))
    pocket.at = -2

    (found,) = queue_of([other], checkpoints={0: pocket}).run()

    assert pocket.rejected
    assert bits_of(found) == bits_of(train_at_once([other])[0])


def test_it_rests_at_a_rung_after_an_epoch_of_all_folds(
    make_settings: Make, queue_of: Any, train_at_once: Any, bits_of: Any
) -> None:
    configs = [crossed(make_settings, train={"seed": seed, "patience": None}) for seed in (0, 1)]
    undisturbed = [bits_of(each) for each in train_at_once(configs)]

    line = queue_of(configs, decisions={(0, 2): Decision.PAUSE})
    rested = line.run()
    went_on = queue_of([configs[0]], checkpoints={0: Pocket(rested[0].checkpoint, at=-2)})

    assert [each.state for each in rested] == [State.PAUSED, State.COMPLETED]
    assert line.told[0] == [1, 2]
    assert rested[0].weights == {}  # there is no network of all the data yet
    assert bits_of(went_on.run()[0]) == undisturbed[0]
    assert bits_of(rested[1]) == undisturbed[1]


class Small(Operations):
    """Runs out of memory where more than two lanes are asked for, after a while."""

    calls_left = 25

    def forward(self, projected: torch.Tensor, weight: torch.Tensor, **rest: Any) -> States:
        self.calls_left -= 1
        if len(projected) > 2 and self.calls_left < 0:
            raise torch.OutOfMemoryError(f"no room for {len(projected)} lanes")
        return super().forward(projected, weight, **rest)


def test_out_of_memory_halves_the_slots_and_loses_no_trial(
    make_settings: Make, queue_of: Any, train_at_once: Any, bits_of: Any
) -> None:
    configs = variety(make_settings, 4)
    queue = queue_of(configs)

    found = queue.run(tools=Tools(Small()))

    assert [bits_of(each) for each in found] == [bits_of(each) for each in train_at_once(configs)]
    for number, told in queue.told.items():
        assert told == list(range(1, int(found[number].metrics["epochs"]) + 1))
