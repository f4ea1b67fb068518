from __future__ import annotations

import pytest
from report_builders import by_trial, completed, diverged, make_board

pytest.importorskip("scipy")

from sweep.plan.selection import Selection, select
from sweep.plan.trial import Record, Trial
from sweep.report.choice import choice_lines, choose, versus_lines
from sweep.report.leaderboard import Leaderboard
from sweep.report.resampling import Resampled

RATES = (1e-4, 1e-3, 1e-2, 1e-1)
SEEDS = (1, 2, 3, 4, 5)
SCREENED = {0: 0.50, 1: 0.20, 2: 0.21, 3: 0.30}  # by trial: the second rate was lucky


def study(
    *fresh: list[float], selection: Selection | None = None, **more: object
) -> tuple[list[Trial], dict[int, Record], Selection]:
    """Four rates, screened with seed 0; the best few again, with the scores given."""
    trials = [Trial(i, 0, {"optim.lr": rate}) for i, rate in enumerate(RATES)]
    records = [completed(number, score) for number, score in SCREENED.items()]
    order = sorted(SCREENED, key=lambda number: SCREENED[number])[: len(fresh)]
    chosen = select([(number,) for number in order], seeds=SEEDS, first_number=4)
    for item, scores in zip(chosen.candidates, fresh, strict=True):
        for number, seed, score in zip(item.fresh, SEEDS, scores, strict=False):
            values = {"optim.lr": RATES[item.screened[0]], "train.seed": seed}
            trials.append(Trial(number, 0, values))
            records.append(diverged(number) if score < 0 else completed(number, score))
    return trials, by_trial(*records), chosen


def board(*fresh: list[float], **more: str) -> Leaderboard:
    trials, records, selection = study(*fresh)
    return make_board(trials, records, selection=selection, **more)


def rates(found: Leaderboard) -> list[float]:
    return [item.values["optim.lr"][0] for item in found.ranked]


def test_fresh_seeds_decide_and_the_lucky_one_falls_back() -> None:
    found = board([0.26, 0.25, 0.27, 0.26, 0.24], [0.21, 0.20, 0.22, 0.21, 0.20])

    assert rates(found) == [1e-2, 1e-3, 1e-1, 1e-4]
    best = found.best
    assert best is not None
    assert best.mean == pytest.approx(0.208)
    assert best.screened == (0.21,)
    assert best.trials == (9, 10, 11, 12, 13)
    assert best.by_seed == dict(zip(SEEDS, (0.21, 0.20, 0.22, 0.21, 0.20), strict=True))


def test_what_is_confirmed_stands_before_what_looks_better_without() -> None:
    found = board([0.35] * 5, [0.36] * 5)

    assert rates(found) == [1e-3, 1e-2, 1e-1, 1e-4]


def test_a_half_confirmed_search_is_ranked_as_it_was() -> None:
    found = board([0.9, 0.9, 0.9, 0.9, 0.9], [0.2, 0.2])
    trials, records, selection = study([0.9] * 5, [0.2, 0.2])
    trials += [Trial(n, 0, {"optim.lr": 1e-2, "train.seed": n}) for n in (11, 12, 13)]

    half = make_board(trials, records, selection=selection)

    assert rates(half) == [1e-3, 1e-2, 1e-1, 1e-4]
    assert not any(item.confirmed for item in [*half.ranked, *found.ranked])


def test_a_clear_winner_is_told_from_its_rivals() -> None:
    found = board([0.26, 0.25, 0.27, 0.26, 0.24], [0.21, 0.20, 0.22, 0.21, 0.20])

    choice = choose(found)

    assert choice is not None
    assert choice.confirmed
    assert [rival.differs for rival in choice.rivals] == [True]
    how, better = choice_lines(found)
    assert how == (
        "The best 2 of the search were trained again with the seeds 1, 2, 3, 4 and 5, which alone "
        "decide. The winner had 0.2100 in the search, and has 0.2080 now."
    )
    assert better == "Better than lr=0.001 by 0.04800 (95 % interval 0.04245 to 0.05355)."


def test_no_known_difference_is_said_plainly() -> None:
    found = board([0.22, 0.20, 0.23, 0.19, 0.21], [0.20, 0.22, 0.19, 0.23, 0.205])

    choice = choose(found)

    assert choice is not None
    assert len(choice.alike) == 1
    assert "No difference from lr=0.001 is known (95 % interval" in choice_lines(found)[1]


def test_a_rival_that_lost_seeds_is_none_and_a_study_without_seeds_says_nothing() -> None:
    lost = board([0.2] * 5, [-1.0, 0.1, 0.1, 0.1, 0.1])
    alone = make_board(*study()[:2])

    assert choose(lost) is None
    assert choice_lines(alone) == []


def test_where_more_is_better_the_highest_mean_wins() -> None:
    trials, records, _ = study()
    chosen = select([(0,), (3,)], seeds=SEEDS, first_number=4)
    for item, score in zip(chosen.candidates, (0.4, 0.6), strict=True):
        for number, seed in zip(item.fresh, SEEDS, strict=True):
            rate = RATES[item.screened[0]]
            trials.append(Trial(number, 0, {"optim.lr": rate, "train.seed": seed}))
            records[number] = completed(number, score + seed / 1000)

    found = make_board(trials, records, selection=chosen, direction="maximize")

    assert rates(found)[:2] == [1e-1, 1e-4]
    assert "Better than lr=0.0001 by 0.2000" in choice_lines(found)[1]


def test_baselines_are_beaten_tied_with_or_ahead() -> None:
    found = board([0.2] * 5, [0.3] * 5)
    versus = {
        "ridge": Resampled(-0.01, -0.02, -0.005, 0.95, 1000, 48),
        "persistence": Resampled(-0.01, -0.03, 0.01, 0.95, 1000, 48),
        "seasonal naive": Resampled(0.01, 0.005, 0.02, 0.95, 1000, 48),
    }

    lines = versus_lines(versus, board=found)

    assert lines[0].startswith("The winner beats ridge by 0.01000 in test_mse (95 % interval 0.005")
    assert lines[1].startswith("No difference from persistence is known on the test part")
    assert lines[2].startswith("seasonal naive beats the winner by 0.01000 in test_mse")
