from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("scipy")

from sweep.report.verdict import Check, Scores, Verdict, compare, overall

SEEDS = (7, 8, 9, 10, 11)
CHAMPION = (0.100, 0.110, 0.105, 0.095, 0.102)


def scores(*values: float | None) -> Scores:
    known = {seed: v for seed, v in zip(SEEDS, values, strict=False) if v is not None}
    return Scores(by_seed=known, diverged=len(values) - len(known))


def judged(winner: Scores, champion: Scores, **more: object) -> Check:
    given: dict[str, object] = {"direction": "minimize", "min_effect": 0.0, **more}
    return compare(winner, champion, name="n", against="version 3", **given)  # type: ignore[arg-type]


def moved(by: float, noise: float = 0.001) -> Scores:
    return scores(*(value + by + noise * (-1) ** i for i, value in enumerate(CHAMPION)))


def test_a_winner_that_is_worse_on_every_seed_is_a_regression() -> None:
    found = judged(moved(0.02), scores(*CHAMPION))

    assert found.verdict is Verdict.REGRESSION
    assert found.text.startswith("tonight's winner is worse than version 3 by 0.020")
    assert found.low is not None
    assert found.low > 0


def test_a_winner_that_is_better_on_every_seed_is_promoted() -> None:
    assert judged(moved(-0.02), scores(*CHAMPION)).verdict is Verdict.PROMOTED


def test_the_same_numbers_are_no_difference() -> None:
    found = judged(scores(*CHAMPION), scores(*CHAMPION))

    assert found.verdict is Verdict.NO_DIFFERENCE
    assert "no difference between tonight's winner and version 3 is known" in found.text


def test_a_mean_that_is_worse_by_luck_is_no_regression() -> None:
    assert judged(moved(0.01, noise=0.02), scores(*CHAMPION)).verdict is Verdict.NO_DIFFERENCE


def test_a_difference_below_the_least_effect_is_nobodys_concern() -> None:
    assert judged(moved(0.02), scores(*CHAMPION), min_effect=0.05).verdict is Verdict.NO_DIFFERENCE
    assert judged(moved(-0.02), scores(*CHAMPION), min_effect=0.05).verdict is Verdict.NO_DIFFERENCE


def test_where_more_is_better_less_is_a_regression() -> None:
    assert (
        judged(moved(-0.02), scores(*CHAMPION), direction="maximize").verdict is Verdict.REGRESSION
    )


def test_a_winner_that_diverges_where_the_champion_does_not_is_a_regression() -> None:
    found = judged(scores(None, None, None, None, None), scores(*CHAMPION))

    assert found.verdict is Verdict.REGRESSION
    assert "diverged with 5 of 5 seeds, version 3 with 0 of 5" in found.text


def test_one_seed_that_diverges_says_that_too_few_are_left() -> None:
    found = judged(scores(0.1, 0.1, 0.1, 0.1, None), scores(*CHAMPION))

    assert found.verdict is Verdict.NO_DIFFERENCE
    assert "only 4 seeds are left" in found.text


def test_several_champions_share_the_risk() -> None:
    alone, among = (judged(moved(0.02), scores(*CHAMPION), tests=tests) for tests in (1, 7))

    assert alone.low is not None
    assert among.low is not None
    assert among.low < alone.low


def test_worse_than_one_is_a_regression_and_better_than_all_a_promotion() -> None:
    worse, better, same = (judged(moved(by), scores(*CHAMPION)) for by in (0.02, -0.02, 0.0))

    assert overall([]) is Verdict.FIRST
    assert overall([better, worse]) is Verdict.REGRESSION
    assert overall([better, same]) is Verdict.NO_DIFFERENCE
    assert overall([better, better]) is Verdict.PROMOTED
    assert overall([better], again=worse) is Verdict.REGRESSION
    assert overall([same], again=better) is Verdict.NO_DIFFERENCE


@given(st.lists(st.floats(0.01, 1), min_size=5, max_size=5), st.floats(0, 0.5))
def test_no_study_is_worse_than_itself(values: list[float], effect: float) -> None:
    found = judged(scores(*values), scores(*values), min_effect=effect)

    assert found.verdict is Verdict.NO_DIFFERENCE
