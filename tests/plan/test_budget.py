"""Device-seconds that were held, lost ones included, and what a budget allows."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import BadInput
from sweep.plan.budget import (
    LEAST_DEADLINE_S,
    Budget,
    Life,
    Spent,
    deadline_s,
    read_budget,
    spent,
    used_up,
)

times = st.floats(0, 1e6)
lives = st.builds(
    Life,
    claimed=times,
    ended=times,
    useful=times,
    gpus=st.integers(0, 8).map(float),
    cpus=st.integers(1, 8).map(float),
)


def test_a_life_holds_its_devices_from_beginning_to_end() -> None:
    whole = Life(claimed=100.0, ended=160.0, useful=160.0, gpus=2, cpus=4)

    assert spent([whole]) == Spent(gpu_s=120.0, cpu_s=240.0)


def test_what_came_after_the_last_result_is_lost() -> None:
    killed = Life(claimed=100.0, ended=160.0, useful=130.0, gpus=1, cpus=2)
    idle = Life(claimed=100.0, ended=110.0, useful=0.0, gpus=1, cpus=2)

    total = spent([killed, idle])

    assert total == Spent(gpu_s=70.0, cpu_s=140.0, wasted_gpu_s=40.0, wasted_cpu_s=80.0)


@given(st.lists(lives, max_size=5), lives)
def test_a_further_life_never_lowers_a_sum_and_loses_no_more_than_it_held(
    lives: list[Life], more: Life
) -> None:
    before, after = spent(lives), spent([*lives, more])

    assert after.gpu_s >= before.gpu_s
    assert after.cpu_s >= before.cpu_s
    assert 0 <= after.wasted_gpu_s <= after.gpu_s
    assert 0 <= after.wasted_cpu_s <= after.cpu_s


def test_a_budget_is_used_up_at_its_number_and_not_before() -> None:
    budget = Budget(gpu_hours=2)

    assert used_up(budget, Spent(gpu_s=7199.0, cpu_s=1e9)) is None
    assert used_up(budget, Spent(gpu_s=7200.0)) == (
        "2 GPU-hours are spent, and hydra.launcher.budget.gpu_hours is 2"
    )
    assert used_up(Budget(cpu_hours=0.5), Spent(cpu_s=1800.0)) is not None
    assert used_up(Budget(), Spent(gpu_s=1e9, cpu_s=1e9)) is None


@given(st.floats(0.1, 1e4), st.integers(1, 1000), st.integers(1, 8))
def test_pods_that_all_run_use_the_budget_up_by_the_deadline_and_hardly_more(
    hours: float, parallelism: int, gpus: int
) -> None:
    bound = deadline_s(Budget(gpu_hours=hours), parallelism=parallelism, gpus=gpus, cpus=4)

    assert bound is not None
    held = bound * parallelism * gpus
    assert held >= hours * 3600 * (1 - 1e-12)
    assert bound == LEAST_DEADLINE_S or held < hours * 3600 + parallelism * gpus


def test_the_deadline_leaves_out_what_was_spent_and_takes_the_tighter_bound() -> None:
    budget = Budget(gpu_hours=10, cpu_hours=10)

    assert deadline_s(budget, parallelism=2, gpus=1, cpus=4) == 4500
    earlier = Spent(gpu_s=9 * 3600.0, cpu_s=0.0)
    assert deadline_s(budget, parallelism=2, gpus=1, cpus=4, already=earlier) == 1800
    assert deadline_s(Budget(gpu_hours=1), parallelism=2, gpus=0, cpus=4) is None
    assert deadline_s(Budget(), parallelism=2, gpus=1, cpus=4) is None


@pytest.mark.parametrize("value", [0, -1, "10", True, math.inf, math.nan])
def test_a_budget_is_a_positive_number(value: object) -> None:
    with pytest.raises(BadInput, match=r"hydra\.launcher\.budget\.cpu_hours"):
        read_budget({"cpu_hours": value})


def test_a_budget_may_have_no_limit() -> None:
    assert read_budget({}) == read_budget({"gpu_hours": None}) == Budget()
    assert read_budget({"gpu_hours": 3, "cpu_hours": 0.5}) == Budget(gpu_hours=3, cpu_hours=0.5)


def test_spending_is_told_in_units_that_fit() -> None:
    assert str(Spent(gpu_s=3600.0, cpu_s=7200.0, wasted_gpu_s=1800.0)) == (
        "1 GPU-hours (30 GPU-minutes of them lost), 2 CPU-hours"
    )
    assert str(Spent(cpu_s=12.3)) == "12 CPU-seconds"
    assert str(Spent()) == "nothing"
