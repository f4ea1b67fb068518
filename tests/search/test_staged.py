"""The guide as a procedure: what the curves say decides what is tried next."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_builders import GUIDE, START, completed, diverged, search

from sweep.plan.story import Decided
from sweep.plan.trial import Record
from sweep.search import sentences
from sweep.search.space import Choice, Point, Space
from sweep.search.staged import Staged
from sweep.search.strategy import best_of


def landscape(point: Point) -> float:
    """Answer with the best at rate .003, 200 units, 2 layers, 96 steps, cosine."""
    return (
        0.10
        + 0.02 * math.log(point["optim.lr"] / 0.003) ** 2
        + 0.01 * math.log(point["model.hidden_size"] / 200) ** 2
        + 0.01 * abs(point["model.num_layers"] - 2)
        + 0.01 * abs(math.log(point["data.lookback"] / 96))
        + 0.01 * (point["optim.schedule.name"] != "cosine")
    )


def with_curves(train: list[float], val: list[float]) -> Callable[[Point], Record]:
    return lambda point: completed(
        0, landscape(point), history={"train_loss": train, "val_loss": val}
    )


CALM = with_curves([0.5, 0.3, 0.2, 0.19], [0.5, 0.3, 0.2, 0.21])
OVERFITS = with_curves([0.5, 0.3, 0.2, 0.1], [0.5, 0.3, 0.4, 0.6])
SHAKES = with_curves([0.5, 0.2, 0.6, 0.2], [0.5, 0.3, 0.2, 0.21])
IMPROVES = with_curves([0.5, 0.4, 0.3, 0.2], [0.5, 0.4, 0.3, 0.2])


def told(answer: Callable[[Point], Any], *, space: Space = GUIDE, **start: Any) -> list[Decided]:
    _, last = search(Staged(space, {**START, **start}), answer, trials=400)
    assert last.over
    return list(last.decisions)


def about(stage: str, decisions: list[Decided]) -> list[Decided]:
    return [item for item in decisions if item.stage == stage]


def test_it_begins_with_the_start_values_and_ends_at_the_best_of_a_simple_landscape() -> None:
    past, last = search(Staged(GUIDE, START), landscape, trials=400)

    best = best_of(past)
    assert past[0].point == {key: START[key] for key in GUIDE.keys}
    assert last.over
    assert best is not None
    assert abs(math.log(best.point["optim.lr"] / 0.003)) < 0.3
    assert abs(math.log(best.point["model.hidden_size"] / 200)) < 0.3
    assert best.point["model.num_layers"] == 2
    assert best.point["optim.schedule.name"] == "cosine"


def test_thirty_trials_bring_most_of_it() -> None:
    past, _ = search(Staged(GUIDE, START), landscape, trials=30)

    best = best_of(past)
    assert best is not None
    assert best.cost is not None
    assert best.cost < 0.11 < 0.15 < (past[0].cost or 0)


def test_stages_follow_each_other_and_each_starts_from_the_best_so_far() -> None:
    past, last = search(Staged(GUIDE, START), landscape, trials=400)

    stages = list(dict.fromkeys(item.stage for item in last.decisions))
    [units] = about("units", list(last.decisions))
    assert stages[:7] == [
        "start",
        "learning rate",
        "optimizer",
        "units",
        "layers",
        "batch size",
        "sequence length",
    ]
    rates = {past[number].point["optim.lr"] for number in units.evidence["trials"]}
    assert rates == {0.003}  # what the stage before had found


def test_an_edge_is_widened_until_it_is_none_or_the_range_ends() -> None:
    [rate] = about("learning rate", told(lambda point: -point["optim.lr"]))

    assert rate.evidence["optim.lr"] == [0.001, 0.003, 0.0003, 0.01]
    assert rate.decided == "take optim.lr=0.01, the end of its range: a better one may lie beyond"


def test_a_calm_best_grows() -> None:
    decisions = told(CALM)

    assert about("units", decisions)[0].evidence["model.hidden_size"] == [50, 100, 200, 400]
    assert not about("stability", decisions)
    assert not about("capacity", decisions)


def test_an_overfitting_best_shrinks_and_is_regularised_more() -> None:
    start = {"model.num_layers": 2, "model.hidden_size": 200, "model.dropout": 0.2}
    decisions = told(OVERFITS, **start)

    [shrink] = about("capacity", decisions)
    [layers] = about("layers", decisions)
    assert shrink.guide == "If overfitting occurs, reduce layers or add regularization."
    assert shrink.evidence["rise"] == 1.0
    assert layers.evidence["model.num_layers"] == [2, 1]
    assert about("units", decisions)[0].evidence["model.hidden_size"][1] < 200
    assert about("dropout", decisions)[0].evidence["model.dropout"][1] > 0.2


def test_with_one_layer_dropout_goes_before_the_head() -> None:
    space = Space({k: a for k, a in GUIDE.axes.items() if k != "model.num_layers"})
    decisions = told(lambda p: landscape({**p, "model.num_layers": 1}), space=space)

    [why] = about("regularization", decisions)
    assert "before the head" in why.decided
    assert about("dropout", decisions)[0].evidence["model.output_dropout"] == [0.0, 0.2]
    assert not any("model.dropout" in item.evidence for item in decisions)


def test_unstable_training_is_answered_by_rmsprop_a_lower_rate_and_clipping() -> None:
    space = Space({**GUIDE.axes, "optim.clip_norm": Choice((0.1, 0.5, 1.0))})
    [answer] = about("stability", told(SHAKES, space=space))

    assert answer.section == 4
    assert answer.guide == "If experiencing unstable gradients, try RMSprop."
    assert "optim.name=rmsprop" in answer.decided
    assert "optim.clip_norm=0.5" in answer.decided
    assert answer.evidence["jump"] == pytest.approx(2.0)


def test_a_lower_rate_is_found_where_higher_ones_diverge() -> None:
    def answer(point: Point) -> Record:
        return diverged(0) if point["optim.lr"] > 2e-4 else completed(0, landscape(point))

    past, last = search(Staged(GUIDE, START), answer, trials=400)

    best = best_of(past)
    assert best is not None
    assert best.point["optim.lr"] <= 2e-4
    assert about("stability", list(last.decisions))


def test_epochs_grow_while_the_best_still_improves() -> None:
    decisions = told(lambda p: completed(
        0, landscape(p) - 1e-4 * p["train.epochs"], history={"val_loss": [3, 2, 1]}
    ))  # fmt: skip

    [first, second] = about("epochs", decisions)[:2]
    assert first.guide == "Too few epochs → Underfitting."
    assert [first.decided[-15:], second.decided[-16:]] == ["train.epochs=50", "train.epochs=100"]


def test_epochs_do_not_grow_where_the_best_has_stopped_improving() -> None:
    [epochs] = about("epochs", told(CALM))

    assert epochs.decided == "25 are enough"


def test_an_axis_that_the_guide_does_not_know_is_tried_before_all_others() -> None:
    space = Space({**GUIDE.axes, "data.normalization": Choice(("none", "last", "revin"))})
    past, last = search(
        Staged(space, {**START, "data.normalization": "none"}),
        lambda p: landscape(p) + (p["data.normalization"] != "last"),
        trials=400,
    )

    assert {item.point["data.normalization"] for item in past[1:3]} == {"last", "revin"}
    assert last.decisions[1].decided == "take data.normalization=last"
    assert all(item.point["data.normalization"] == "last" for item in past[3:20])


@settings(max_examples=6)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_batches_change_the_pace_but_not_the_way(seed: int, most: int) -> None:
    def answer(point: Point) -> float:
        return zlib.crc32(f"{seed} {sorted(point.items())}".encode()) / 2**32

    one = search(Staged(GUIDE, START), answer, most=9, trials=200)
    other = search(Staged(GUIDE, START), answer, most=most, trials=200)

    assert {repr(item.point) for item in one[0]} == {repr(item.point) for item in other[0]}
    assert [d.decided for d in one[1].decisions] == [d.decided for d in other[1].decisions]


def test_every_decision_names_a_sentence_and_trials_that_bear_it_out() -> None:
    past, last = search(Staged(GUIDE, START), landscape, trials=400)

    known = {value for value in vars(sentences).values() if isinstance(value, tuple)}
    for item in last.decisions:
        assert (item.section, item.guide) in known
        costs = [past[number].cost for number in item.evidence["trials"]]
        assert costs == item.evidence["costs"]
