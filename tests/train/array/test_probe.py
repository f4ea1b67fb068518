"""Before a pack begins a step is tried: for memory, and for what company does to a lane."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from sweep.app import _result
from sweep.plan.settings import Settings
from sweep.train.array.block import Block
from sweep.train.array.engines import Tools
from sweep.train.array.memory import GRAPH_BYTES, SHARE, WIDTH
from sweep.train.array.recurrence import Operations, States

Make = Callable[..., Settings]
FEW: dict[str, Any] = {"lookback": 4, "split": [60, 20, 20]}


def seeds(make_settings: Make, count: int) -> list[Settings]:
    return [
        make_settings(data=FEW, model={"hidden_size": 4}, train={"seed": n, "epochs": 1})
        for n in range(count)
    ]


@dataclass
class Measured:
    """A device that holds some lanes, as measured; the model is not asked."""

    lanes: float
    each: float = 1 << 40  # bytes of a lane: far from what the model says
    tried: list[int] = field(default_factory=list)

    @property
    def total(self) -> float:
        return (self.lanes * self.each + GRAPH_BYTES) / SHARE

    def free(self) -> float:
        return self.total

    def taken(self, work: Callable[[], Block]) -> float:
        block = work()
        self.tried.append(block.lanes)
        return self.each * block.lanes


class Watched(Operations):
    """Notes how many lanes it runs."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def forward(self, projected: Tensor, weight: Tensor, **rest: Any) -> States:
        self.seen.add(len(projected))
        return super().forward(projected, weight, **rest)


def test_the_width_is_what_a_step_was_measured_to_take_and_the_models_error_is_told(
    make_settings: Make,
    train_at_once: Any,
    bits_of: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    configs, engine, memory = seeds(make_settings, 5), Watched(), Measured(lanes=5.9)

    with caplog.at_level(logging.INFO):
        found = train_at_once(configs, tools=Tools(engine), memory=memory)

    assert memory.tried == [8]
    assert engine.seen == {8, 4}  # a power of two, of the five that fit
    assert "takes 1048576.0 MiB, measured with 8; the model said 1.3" in caplog.text
    assert "(-100 %)" in caplog.text
    assert [bits_of(each) for each in found] == [bits_of(e) for e in train_at_once(configs)]


def test_folds_count_as_often_as_there_are_networks(
    make_settings: Make, train_at_once: Any
) -> None:
    config = make_settings(data=FEW | {"folds": 2}, train={"epochs": 1})
    engine = Watched()

    train_at_once([config] * 3, tools=Tools(engine), memory=Measured(lanes=12.5))

    assert engine.seen == {8, 4}  # two folds and what is trained on all: 12 lanes are 4 trials


class Small(Watched):
    """Has room for two lanes, whatever was measured."""

    def forward(self, projected: Tensor, weight: Tensor, **rest: Any) -> States:
        if len(projected) > 2:
            raise torch.OutOfMemoryError(f"no room for {len(projected)} lanes")
        return super().forward(projected, weight, **rest)


def test_where_the_trial_step_itself_finds_no_room_fewer_lanes_are_tried(
    make_settings: Make, train_at_once: Any, bits_of: Any
) -> None:
    configs, memory = seeds(make_settings, 3), Measured(lanes=4 * WIDTH)

    found = train_at_once(configs, tools=Tools(Small()), memory=memory)

    assert set(memory.tried) == {2}
    assert [bits_of(each) for each in found] == [bits_of(e) for e in train_at_once(configs)]


class Disturbed(Watched):
    """Lets a lane's last digits depend on the lanes beside it where there are more than two."""

    def forward(self, projected: Tensor, weight: Tensor, **rest: Any) -> States:
        if len(projected) > 2 and projected[1:-1].any():
            projected = projected * (1 + 1e-6)
        return super().forward(projected, weight, **rest)


def test_where_company_changes_a_bit_the_pack_goes_on_with_a_width_at_which_it_does_not(
    make_settings: Make, train_at_once: Any, bits_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    configs, engine = seeds(make_settings, 5), Disturbed()

    found = train_at_once(configs, tools=Tools(engine), width=8)

    assert "among 8 lanes a trial's bits depend on its company" in caplog.text
    assert "going on with 2" in caplog.text
    assert [bits_of(each) for each in found] == [bits_of(e) for e in train_at_once(configs)]
    assert {each.lanes for each in found} == {None}


class ByWidth(Operations):
    """Adds up in another order where there are many lanes, as a library may."""

    def forward(self, projected: Tensor, weight: Tensor, **rest: Any) -> States:
        if len(projected) > 2:
            projected = projected * (1 + 1e-6)
        return super().forward(projected, weight, **rest)


def test_where_digits_depend_on_how_many_lanes_there_are_the_records_say_how_many(
    make_settings: Make, train_at_once: Any, caplog: pytest.LogCaptureFixture
) -> None:
    configs = seeds(make_settings, 3)

    wide = train_at_once(configs, tools=Tools(ByWidth()), width=4)
    narrow = train_at_once(configs, tools=Tools(ByWidth()), width=2)

    assert [each.lanes for each in wide] == [4, 4, 4]
    assert [each.lanes for each in narrow] == [None] * 3
    assert "last digits depend on how many lanes there are, here 4" in caplog.text
    assert _result(wide[0], configs[0], "array").numbers["lanes"] == "4"
    assert "lanes" not in _result(narrow[0], configs[0], "array").numbers
