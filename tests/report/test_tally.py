from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_builders import completed, diverged, failed

from sweep.plan.trial import Record, State
from sweep.report.tally import News, Tally


def ended(trial: int, *, took: float, at: float, **more: int) -> Record:
    return completed(trial, 0.1, started=at - took, finished=at, **more)


def test_the_first_result_and_every_better_one_are_news() -> None:
    tally = Tally(dict.fromkeys(range(4), 1.0))

    news = [tally.add(completed(i, score)) for i, score in enumerate([0.3, 0.4, 0.2, 0.2])]

    assert news == [News.FIRST, News.NOTHING, News.BEST, News.NOTHING]
    assert tally.best == completed(2, 0.2)


def test_maximizing_takes_the_larger_for_better() -> None:
    tally = Tally({0: 1.0, 1: 1.0}, direction="maximize")

    assert [tally.add(completed(0, 0.3)), tally.add(completed(1, 0.4))] == [News.FIRST, News.BEST]


def test_failures_and_divergences_are_news_and_are_counted() -> None:
    tally = Tally(dict.fromkeys(range(3), 1.0))

    assert tally.add(failed(0)) is News.FAILED
    assert tally.add(diverged(1)) is News.INFEASIBLE
    assert (tally.done, tally.total) == (2, 3)
    assert tally.counts == {State.FAILED: 1, State.INFEASIBLE: 1}


def test_a_second_record_a_twins_and_an_unfinished_one_change_nothing() -> None:
    tally = Tally({0: 1.0, 1: 1.0})
    tally.add(completed(0, 0.3))

    for record in (completed(0, 0.1), completed(7, 0.1), Record(1, State.RUNNING)):
        assert tally.add(record) is News.NOTHING

    assert tally.done == 1
    assert tally.best == completed(0, 0.3)


def test_time_left_is_told_after_the_second_trial() -> None:
    tally = Tally(dict.fromkeys(range(10), 1.0), workers=2)

    tally.add(ended(0, took=6, at=6, pack=0))
    assert tally.left(now=6) is None

    tally.add(ended(1, took=8, at=8, pack=1))
    assert tally.left(now=8) == pytest.approx(8 * 7 / 2)


def test_trials_take_time_in_proportion_to_their_cost() -> None:
    tally = Tally({0: 1.0, 1: 3.0, 2: 10.0, 3: 10.0})

    tally.add(ended(0, took=5, at=5, pack=0))
    tally.add(ended(1, took=15, at=20, pack=1))

    assert tally.left(now=20) == pytest.approx(100)


def test_what_is_left_takes_no_less_than_the_dearest_trial_alone() -> None:
    tally = Tally({0: 1.0, 1: 1.0, 2: 10.0, 3: 2.0}, workers=4)

    tally.add(ended(0, took=1, at=1, pack=0))
    tally.add(ended(1, took=1, at=1, pack=1))
    assert tally.left(now=1) == pytest.approx(10)

    tally.add(ended(2, took=10, at=11, pack=2))
    assert tally.left(now=11) == pytest.approx(2)


def test_time_passes_since_the_newest_record_and_an_overdue_estimate_is_none() -> None:
    tally = Tally({0: 1.0, 1: 1.0, 2: 1.0})
    tally.add(ended(0, took=10, at=10, pack=0))
    tally.add(ended(1, took=10, at=20, pack=1))

    assert tally.left(now=24) == pytest.approx(6)
    assert tally.left(now=31) is None


def test_records_of_an_earlier_life_give_an_estimate_from_now_on() -> None:
    tally = Tally({0: 1.0, 1: 1.0, 2: 1.0}, now=1_000)
    tally.add(ended(0, took=10, at=10, pack=0))
    tally.add(ended(1, took=10, at=20, pack=1))

    assert tally.left(now=1_002) == pytest.approx(8)


def test_trials_of_one_pack_that_ran_together_count_their_time_once() -> None:
    tally = Tally(dict.fromkeys(range(8), 1.0))

    for trial in range(4):
        tally.add(ended(trial, took=60, at=60, pack=0))

    assert tally.left(now=60) == pytest.approx(60)


def test_failures_say_nothing_about_time() -> None:
    tally = Tally(dict.fromkeys(range(5), 1.0))

    tally.add(failed(0, finished=0.1))
    tally.add(failed(1, finished=0.1))
    assert tally.left(now=1) is None

    tally.add(ended(2, took=10, at=10))
    assert tally.left(now=10) == pytest.approx(20)


def test_nothing_is_left_when_all_have_ended() -> None:
    assert Tally({}).left(now=0) == 0
    tally = Tally({0: 1.0})
    tally.add(failed(0))
    assert tally.left(now=5) == 0


@given(st.permutations(range(6)), st.lists(st.floats(0, 1), min_size=6, max_size=6))
def test_counts_and_best_score_do_not_depend_on_the_order_of_records(
    order: list[int], scores: list[float]
) -> None:
    tally = Tally(dict.fromkeys(range(6), 1.0))

    for trial in order:
        tally.add(completed(trial, scores[trial]))

    assert tally.done == 6
    assert tally.best is not None
    assert tally.best.objective == min(scores)
