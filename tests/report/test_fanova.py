from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.report.fanova import Parts, decompose, grow, split_variance, without_pairs


def crossed(counts: Sequence[int], score: Callable[..., float]) -> tuple[Any, Any]:
    steps = np.array(list(itertools.product(*map(range, counts))))
    return steps, np.array([score(*row) for row in steps], dtype=float)


def exact(counts: Sequence[int], score: Callable[..., float]) -> Parts:
    """Split what a tree learns that has seen every point once: the function itself."""
    steps, scores = crossed(counts, score)
    return decompose(grow(steps, counts, scores), counts)


def test_a_sum_has_the_shares_of_its_parts_and_no_interaction() -> None:
    # Variances over even steps: of 0, 1, 2, 3 it is 1.25, of 0, 3 it is 2.25.
    parts = exact((4, 2), lambda a, b: a + 3 * b)

    assert parts.singles == pytest.approx((1.25 / 3.5, 2.25 / 3.5))
    assert parts.pairs[0, 1] == pytest.approx(0.0, abs=1e-9)


def test_a_product_has_the_share_that_is_in_the_textbook() -> None:
    # f = a * b over 0..n-1 with mean m and variance v each: v m² alone, v² together.
    counts = (5, 7)
    mean, var = zip(*((np.arange(n).mean(), np.arange(n).var()) for n in counts), strict=True)
    whole = var[0] * mean[1] ** 2 + var[1] * mean[0] ** 2 + var[0] * var[1]

    parts = exact(counts, lambda a, b: a * b)

    alone = (var[0] * mean[1] ** 2 / whole, var[1] * mean[0] ** 2 / whole)
    assert parts.singles == pytest.approx(alone)
    assert parts.pairs[0, 1] == pytest.approx(var[0] * var[1] / whole)


def test_the_ishigami_function_has_its_known_shares() -> None:
    # Ishigami and Homma 1990 with a = 7, b = 0.1: .3139, .4424, 0; .2437 of first and third.
    # The middles of equal parts stand for the range from -pi to pi.
    count = 32
    x = (np.arange(count) + 0.5) / count * 2 * np.pi - np.pi

    def score(i: int, j: int, k: int) -> float:
        value = np.sin(x[i]) + 7 * np.sin(x[j]) ** 2 + 0.1 * x[k] ** 4 * np.sin(x[i])
        return float(value)

    parts = exact((count, count, count), score)

    assert parts.singles == pytest.approx((0.3139, 0.4424, 0.0), abs=0.01)
    assert parts.pairs[0, 2] == pytest.approx(0.2437, abs=0.01)
    assert parts.pairs[0, 1] == pytest.approx(0.0, abs=1e-6)


def test_two_settings_that_only_matter_together_are_found() -> None:
    parts = exact((2, 2, 3), lambda a, b, c: float(a != b))

    assert parts.pairs[0, 1] == pytest.approx(1.0)
    assert parts.singles == pytest.approx((0.0, 0.0, 0.0))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(4, 40))
def test_shares_are_shares(seed: int, width: int, rows: int) -> None:
    draw = np.random.default_rng(seed)
    counts = [int(n) for n in draw.integers(2, 6, size=width)]
    steps = np.stack([draw.integers(n, size=rows) for n in counts], axis=1)

    parts = split_variance(steps, counts, draw.normal(size=rows), trees=3, seed=seed)

    own = [*parts.singles, *parts.pairs.values()]
    assert all(-1e-9 <= share <= 1 + 1e-9 for share in own)
    assert sum(own) <= 1 + 1e-9


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_the_boxes_of_a_tree_fill_the_space_and_hold_the_mean_of_their_rows(seed: int) -> None:
    draw = np.random.default_rng(seed)
    counts = (3, 4, 2)
    steps = np.stack([draw.integers(n, size=20) for n in counts], axis=1)
    scores = draw.normal(size=20)

    tree = grow(steps, counts, scores)

    for point in itertools.product(*map(range, counts)):
        inside = (tree.low <= point).all(axis=1) & (tree.high >= point).all(axis=1)
        assert inside.sum() == 1
        rows = (steps == point).all(axis=1)
        if rows.any():
            own = tree.value[inside][0] + scores.mean()
            assert own == pytest.approx(scores[rows].mean())


def test_rows_of_one_score_have_no_variance_to_share() -> None:
    steps = np.array([[0, 1], [1, 0], [1, 1]])

    parts = split_variance(steps, (2, 2), np.ones(3), trees=2, seed=0)

    assert parts.singles == (0.0, 0.0)


def test_the_same_rows_give_the_same_shares() -> None:
    steps, scores = crossed((4, 3), lambda a, b: a * b + 0.1 * a)

    first, second = (split_variance(steps, (4, 3), scores, trees=4, seed=1) for _ in range(2))

    assert first == second


@pytest.mark.slow
def test_single_shares_agree_with_those_of_optuna() -> None:
    optuna = pytest.importorskip("optuna")
    pytest.importorskip("sklearn")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    draw = np.random.default_rng(0)
    counts = (6, 4, 3)
    steps = np.stack([draw.integers(n, size=80) for n in counts], axis=1)
    scores = steps[:, 0] * 0.5 + steps[:, 1] * steps[:, 0] * 0.2 + draw.normal(size=80) * 0.2
    ranges = {
        str(i): optuna.distributions.FloatDistribution(-0.5, n - 0.5) for i, n in enumerate(counts)
    }
    study = optuna.create_study()
    for row, score in zip(steps, scores, strict=True):
        params = {str(i): float(step) for i, step in enumerate(row)}
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions=ranges, value=float(score))
        )

    theirs = optuna.importance.FanovaImportanceEvaluator(n_trees=64, seed=1).evaluate(study)
    ours = split_variance(steps, counts, scores, trees=64, seed=0).singles

    assert ours == pytest.approx([float(theirs[str(i)]) for i in range(3)], abs=0.03)


def test_scores_without_pairs_keep_what_settings_explain_alone() -> None:
    steps, scores = crossed((4, 3), lambda a, b: 2 * a + b * b)

    assert without_pairs(steps, (4, 3), scores, seed=0) == pytest.approx(scores)


def test_scores_without_pairs_have_lost_them() -> None:
    steps, scores = crossed((8, 8), lambda a, b: float((a > 3) != (b > 3)) + a / 20)

    before = decompose(grow(steps, (8, 8), scores), (8, 8))
    mixed = without_pairs(steps, (8, 8), scores, seed=0)
    after = split_variance(steps, (8, 8), mixed, trees=8, seed=0)

    assert before.pairs[0, 1] > 0.9
    assert after.pairs[0, 1] < 0.7
