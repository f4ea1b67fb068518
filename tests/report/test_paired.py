import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("scipy")

from sweep.report.paired import (
    differences,
    holm,
    holm_intervals,
    mcnemar,
    more_often,
    one_sided,
    paired_interval,
)

# Extra hours of sleep by two drugs (Student 1908, Cushny & Peebles): t = 4.0621, p = 0.002833.
SLEEP = (1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4)

numbers = st.floats(-1e3, 1e3, allow_nan=False).map(lambda x: round(x, 6))
samples = st.lists(numbers, min_size=5, max_size=12)


def test_students_own_example() -> None:
    found = paired_interval(SLEEP)

    assert found is not None
    assert found.p == pytest.approx(0.00283289, abs=1e-8)
    assert (found.low, found.high) == pytest.approx((0.7001142, 2.4598858), abs=1e-7)
    assert found.differs


def test_four_seeds_say_nothing() -> None:
    assert paired_interval((1.0, 1.1, 0.9, 1.0)) is None
    assert one_sided((1.0, 1.1, 0.9, 1.0)) is None


def test_a_one_sided_bound_is_nearer_than_that_of_both_sides() -> None:
    both, bounds = paired_interval(SLEEP, level=0.99), one_sided(SLEEP, level=0.99)

    assert both is not None
    assert bounds is not None
    assert both.low < bounds[0] < bounds[1] < both.high
    half = 2.8214379 * statistics.stdev(SLEEP) / math.sqrt(10)  # t(9) at 0.99, from tables
    assert bounds[0] == pytest.approx(statistics.fmean(SLEEP) - half, abs=1e-6)


def test_equal_trials_do_not_differ_and_a_constant_difference_does() -> None:
    equal, shifted = paired_interval([0.0] * 5), paired_interval([0.5] * 5)

    assert equal is not None
    assert shifted is not None
    assert not equal.differs
    assert (shifted.low, shifted.high, shifted.p) == (0.5, 0.5, 0.0)


def test_only_seeds_that_both_have_are_compared() -> None:
    assert differences({1: 3.0, 2: 5.0, 3: 1.0}, {2: 4.0, 3: 3.0, 9: 0.0}) == {2: 1.0, 3: -2.0}


def test_holms_own_steps() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([]) == []


def test_mcnemar_is_exact() -> None:
    assert mcnemar(6, 16) == pytest.approx(0.0524788, abs=1e-7)  # a binomial test of 6 in 22
    assert mcnemar(4, 4) == 1.0
    assert mcnemar(0, 0) == 1.0


def test_five_of_five_that_diverge_are_more_than_chance() -> None:
    assert more_often(5, 5, 0, 5) == pytest.approx(1 / 252)
    assert more_often(4, 5, 0, 5) == pytest.approx(5 / 210)
    assert more_often(0, 5, 0, 5) == 1.0
    assert more_often(3, 4, 1, 4) == pytest.approx(17 / 70)  # the lady tasting tea


@given(samples, numbers)
def test_an_interval_moves_with_its_differences(values: list[float], shift: float) -> None:
    one, other = paired_interval(values), paired_interval([value + shift for value in values])

    assert one is not None
    assert other is not None
    assert other.low - one.low == pytest.approx(shift, abs=1e-6)
    assert one.low <= one.mean <= one.high


@given(st.lists(samples, min_size=1, max_size=5))
def test_an_interval_by_holm_excludes_zero_exactly_where_holms_test_rejects(
    several: list[list[float]],
) -> None:
    for found in holm_intervals(several):
        assert found is not None
        if abs(found.p - 0.05) > 1e-6 and found.sd > 1e-9:
            assert found.differs == (found.p < 0.05)


@given(st.lists(st.floats(0, 1), max_size=8))
def test_adjusting_never_lowers_a_p_value_nor_changes_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)

    pairs = sorted(zip(p_values, adjusted, strict=True))
    assert all(after >= before for before, after in pairs)
    assert [after for _, after in pairs] == sorted(adjusted)
