from __future__ import annotations

import pytest

pytest.importorskip("numpy")

import numpy as np

from sweep.report.resampling import block_bootstrap, block_length, versus


def lasting(n: int, *, phi: float, seed: int) -> list[float]:
    """Draw errors that last: an autoregression of first order."""
    noise = np.random.default_rng(seed).standard_normal(n)
    found = [float(noise[0])]
    for value in noise[1:]:
        found.append(phi * found[-1] + float(value))
    return found


def test_what_lasts_longer_is_drawn_in_longer_blocks() -> None:
    lengths = [block_length(lasting(1000, phi=phi, seed=3)) for phi in (0.0, 0.5, 0.9)]

    assert lengths == sorted(lengths)
    assert lengths[0] <= 5
    assert lengths[2] >= 20


def test_errors_that_last_make_the_interval_honest() -> None:
    losses = lasting(2000, phi=0.8, seed=1)

    honest = block_bootstrap([losses], [0.0] * 2000)
    naive = 2 * 1.96 * float(np.std(losses)) / 2000**0.5

    assert honest is not None
    assert honest.low < honest.mean < honest.high
    assert honest.high - honest.low > 2 * naive  # sqrt((1 + phi) / (1 - phi)) = 3


def test_a_clear_difference_is_seen_and_none_is_not() -> None:
    noise = lasting(1500, phi=0.3, seed=8)
    other = lasting(1500, phi=0.3, seed=5)
    better = [value - 0.5 for value in other]

    clear = block_bootstrap([better, better], other)
    none = block_bootstrap([noise], other)

    assert clear is not None
    assert none is not None
    assert clear.differs
    assert clear.high < 0
    assert not none.differs


def test_seeds_that_differ_widen_the_interval() -> None:
    windows = lasting(800, phi=0.2, seed=4)
    apart = [[value + shift for value in windows] for shift in (-1.0, -0.5, 0.0, 0.5, 1.0)]

    alike = block_bootstrap([windows] * 5, [0.0] * 800)
    spread = block_bootstrap(apart, [0.0] * 800)

    assert alike is not None
    assert spread is not None
    assert spread.high - spread.low > 2 * (alike.high - alike.low)


def test_windows_that_share_targets_are_drawn_together() -> None:
    found = block_bootstrap([lasting(600, phi=0.0, seed=6)], [0.0] * 600, least_block=24)

    assert found is not None
    assert found.block == 24


def test_too_few_blocks_say_nothing() -> None:
    assert block_bootstrap([[0.1] * 100], [0.2] * 100, least_block=24) is None


def test_the_same_windows_give_the_same_interval_and_equal_models_none() -> None:
    windows = lasting(300, phi=0.5, seed=7)

    assert block_bootstrap([windows], [0.0] * 300) == block_bootstrap([windows], [0.0] * 300)
    equal = block_bootstrap([windows], windows)
    assert equal is not None
    assert (equal.low, equal.high, equal.differs) == (0.0, 0.0, False)


def test_right_and_wrong_is_compared_by_mcnemars_test_of_the_median_seed() -> None:
    bayes = [1.0] * 22 + [0.0] * 78
    good = [0.0] * 16 + [1.0] * 6 + [1.0] * 6 + [0.0] * 72  # 16 to 6 against it
    worse, better = [1.0] * 100, [0.0] * 100

    found = versus([worse, good, better], bayes)

    assert found is not None
    assert found.mcnemar == pytest.approx(0.0524788, abs=1e-7)
    assert not found.differs


def test_errors_of_forecasts_are_compared_by_blocks_no_shorter_than_what_they_share() -> None:
    found = versus([lasting(600, phi=0.0, seed=6)], [0.0] * 600, overlap=24)

    assert found is not None
    assert found.mcnemar is None
    assert found.block >= 24
