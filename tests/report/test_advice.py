from __future__ import annotations

import itertools
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_builders import by_trial, completed, diverged, make_results, make_trials

from sweep.report.advice import Advice, advice_lines, advise
from sweep.report.results import Results


def tried(*scores: float, direction: str = "minimize", hours: float = 1.0) -> Results:
    """One configuration a score; a negative score diverged. All took `hours` together."""
    trials = make_trials({"optim.name": [f"o{i}" for i in range(len(scores))]})
    seconds = hours * 3600 / len(scores)
    records = by_trial(
        *(
            diverged(i, cpu_seconds=seconds)
            if score < 0
            else completed(i, score, cpu_seconds=seconds)
            for i, score in enumerate(scores)
        )
    )
    return make_results(trials, records, direction=direction)


def advised(*scores: float, **more: str) -> Advice:
    found = advise(tried(*scores, **more))  # type: ignore[arg-type]
    assert found is not None
    return found


SCORES = (0.30, 0.12, 0.25, 0.11, 0.50, 0.13, 0.20, 0.40)


def test_the_expected_gain_is_that_of_all_orders_that_trials_could_have_come_in() -> None:
    halves = [min(half) - min(SCORES) for half in itertools.combinations(SCORES, 4)]

    found = advised(*SCORES)

    assert found.gain == pytest.approx(statistics.fmean(halves))
    assert found.nothing == pytest.approx(sum(gain == 0 for gain in halves) / len(halves))
    assert found.at_most == pytest.approx(sorted(halves)[int(0.95 * len(halves))], abs=0.05)
    assert (found.configurations, found.hours, found.unit) == (8, pytest.approx(1.0), "CPU")


def test_where_more_is_better_the_gain_is_as_large() -> None:
    assert advised(*(1 - s for s in SCORES), direction="maximize").gain == pytest.approx(
        advised(*SCORES).gain
    )


def test_what_diverged_was_tried_as_well() -> None:
    assert advised(*SCORES, -1, -1, -1, -1).configurations == 12


def test_below_eight_configurations_nothing_is_said() -> None:
    assert advise(tried(*SCORES[:7])) is None
    assert advice_lines(tried(*SCORES[:7])) == []


def test_a_search_that_seeds_outweigh_is_told_to_stop() -> None:
    grid = {"optim.name": [f"o{i}" for i in range(8)], "train.seed": [0, 1]}
    noisy = by_trial(*(completed(i, 0.2 + 0.05 * (i % 2) + i / 1e4) for i in range(16)))
    clear = by_trial(*(completed(i, 0.2 + 0.05 * (i // 2) + i % 2 / 1e4) for i in range(16)))

    (stop,) = advice_lines(make_results(make_trials(grid), noisy))
    (go_on,) = advice_lines(make_results(make_trials(grid), clear))

    assert stop.endswith("stop here, or give seeds to the best.")
    assert go_on.endswith("going on may pay.")


def test_the_sentence_tells_gain_price_and_what_is_assumed() -> None:
    (line,) = advice_lines(tried(*SCORES, hours=2.0))

    assert line.startswith("As many configurations again (2 CPU-hours) would be expected to lower")
    assert line.endswith("were they drawn at random.")
    assert " an hour)" in line


@given(st.lists(st.floats(0.01, 10), min_size=8, max_size=40))
def test_a_gain_is_never_negative_nor_more_than_was_ever_seen(scores: list[float]) -> None:
    found = advised(*scores)

    assert -1e-12 <= found.gain <= max(scores) - min(scores) + 1e-9
    assert found.nothing + (0.5 if len(scores) % 2 else 0) >= 0.5 - 1e-9
