from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.report.drawing.scale import score_is_log, score_ticks, setting_scale, thinned
from sweep.report.spacing import is_log


@pytest.mark.parametrize(
    ("values", "log"),
    [
        ([50, 100, 200, 500], True),
        ([1e-4, 1e-3, 1e-2], True),
        ([32, 64, 128], False),  # less than a decade
        ([i / 100 for i in range(1, 50)], False),  # even steps, though from near zero
        ([0, 10, 100], False),
        ([5, 5], False),
    ],
)
def test_values_are_read_by_ratios_where_these_are_even(values: list[float], log: bool) -> None:
    assert is_log(values) is log


def test_a_learning_rate_is_always_read_by_ratios() -> None:
    assert is_log([0.001, 0.002], key="optim.lr")


def test_a_grid_has_a_tick_at_each_of_its_values() -> None:
    scale = setting_scale("optim.lr", [1e-4, 1e-3, 1e-2])

    assert [text for _, text in scale.ticks] == ["0.0001", "0.001", "0.01"]
    assert [place for place, _ in scale.ticks] == pytest.approx([0, 0.5, 1])


def test_zero_stands_a_step_below_values_that_are_read_by_ratios() -> None:
    scale = setting_scale("optim.weight_decay", [0, 1e-5, 1e-4, 1e-3])

    assert [scale.place(value) for value in (0, 1e-5, 1e-3)] == pytest.approx([0, 1 / 3, 1])
    assert scale.ordered


def test_names_stand_in_equal_steps_and_long_ones_are_cut() -> None:
    scale = setting_scale("data.file", ["a", "b" * 40, "c"])

    assert [place for place, _ in scale.ticks] == [0, 0.5, 1]
    assert scale.ticks[1][1] == "b" * 13 + "…"
    assert not scale.ordered


def test_texts_that_would_touch_are_left_out_but_for_the_ends() -> None:
    ticks = [(0.0, "a"), (0.05, "b"), (0.5, "c"), (0.95, "d"), (1.0, "e")]

    assert [text for _, text in thinned(ticks, gap=0.1)] == ["a", "", "c", "", "e"]


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_scores_have_few_ticks_and_all_lie_between_them(low: float, span: float) -> None:
    high = low + span
    log = score_is_log([low, high])

    ticks = score_ticks(low, high, log=log)

    slack = 1e-9 * max(abs(low), abs(high))
    assert all(low - slack <= tick <= high + slack for tick in ticks)
    assert len(ticks) <= 20
