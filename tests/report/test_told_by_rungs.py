"""What became of the trials at each rung, told from records that nobody trained."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from report_builders import (
    by_trial,
    completed,
    diverged,
    failed,
    make_board,
    make_results,
    make_trials,
    pruned,
)

from sweep.plan.rungs import LATE, Ladder
from sweep.plan.trial import Record, State
from sweep.report.climbing import Landing, find_landings, sentence
from sweep.report.telling import in_short, intro, tell

CURVE = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
RUNGS = (1, 3, 9)


def curve(*values: float) -> dict[str, Any]:
    return {"history": {"val_loss": list(values)}}


def landed(*records: Record, seeds: int = 1, direction: str = "minimize") -> list[Landing]:
    count = len(records) // seeds
    trials = make_trials({"lr": list(range(count)), "train.seed": list(range(seeds))})
    board = make_board(trials, by_trial(*records), direction=direction)
    return find_landings(ladder(count, seeds), board=board, records=by_trial(*records))


def ladder(count: int, seeds: int = 1) -> Ladder:
    units = [tuple(range(first, first + seeds)) for first in range(0, count * seeds, seeds)]
    return Ladder(RUNGS, 3, tuple(units))


def test_each_rung_tells_who_entered_and_what_became_of_them() -> None:
    first, second, third = landed(
        pruned(0, **curve(0.5)),
        pruned(1, **curve(0.45, 0.44, 0.43)),
        completed(2, 0.1, **curve(*CURVE)),
        pruned(3, **curve(0.95)),
    )

    assert (first.epoch, first.entered, first.fates) == (1, 4, {"promoted": 2, "pruned": 2})
    assert (second.epoch, second.entered, second.fates) == (3, 2, {"promoted": 1, "pruned": 1})
    assert (third.epoch, third.entered, third.fates) == (9, 1, {"trained to the end": 1})
    assert sentence(first) == "4 trials entered: 2 promoted and 2 pruned"


def test_the_best_of_a_rung_is_by_what_was_reached_until_then() -> None:
    first, second, _ = landed(
        pruned(0, **curve(0.5, 0.48, 0.47)), completed(1, 0.1, **curve(*CURVE))
    )

    assert first.best == 0.5
    assert second.best == 0.47
    assert first.configuration is not None
    assert first.configuration.trials == (0,)


def test_a_trial_that_diverged_or_failed_is_told_at_the_rung_that_it_never_reached() -> None:
    first, second = landed(
        diverged(0), diverged(1, **curve(0.5)), failed(2), pruned(3, **curve(0.9))
    )

    assert first.fates == {"promoted": 1, "pruned": 1, "diverged": 1, "failed": 1}
    assert second.fates == {"diverged": 1}
    assert second.best is None


def test_a_trial_that_its_patience_ended_stands_at_every_later_rung() -> None:
    first, second, third = landed(
        completed(0, 0.2, **curve(0.2, 0.3)), completed(1, 0.1, **curve(*CURVE))
    )

    assert first.fates == {"promoted": 2}
    assert second.fates == {"promoted": 1, "ended early": 1}
    assert second.configuration is not None
    assert second.configuration.trials == (0,)
    assert third.best == 0.1


def test_trials_that_never_began_entered_nothing() -> None:
    late = Record(1, State.CANCELLED, error=LATE)

    [first] = landed(pruned(0, **curve(0.5)), late)

    assert first.entered == 1


def test_seeds_of_a_configuration_are_judged_by_their_mean_once_all_are_there() -> None:
    [first, *_] = landed(
        pruned(0, **curve(0.1)),
        failed(1),
        pruned(2, **curve(0.4)),
        pruned(3, **curve(0.6)),
        seeds=2,
    )

    assert first.best == 0.5
    assert first.configuration is not None
    assert first.configuration.trials == (2, 3)


def test_where_more_is_better_the_best_is_the_highest() -> None:
    [first] = landed(pruned(0, **curve(0.5)), pruned(1, **curve(0.7)), direction="maximize")

    assert first.best == 0.7


ends = st.one_of(
    st.sampled_from([1, 3]).map(lambda n: (State.PRUNED, n)),
    st.integers(1, 9).map(lambda n: (State.COMPLETED, n)),
    st.integers(0, 8).map(lambda n: (State.INFEASIBLE, n)),
)


@given(st.lists(ends, min_size=1, max_size=12))
def test_whoever_is_promoted_enters_the_next_rung_and_nobody_is_lost(
    found: list[tuple[State, int]],
) -> None:
    landings = landed(*(Record(n, s, 0.1, **curve(*CURVE[:e])) for n, (s, e) in enumerate(found)))

    assert landings[0].entered == len(found)
    for lower, upper in pairwise(landings):
        assert lower.fates.get("promoted", 0) == upper.entered
    assert all(sum(item.fates.values()) == item.entered for item in landings)
    assert "promoted" not in landings[-1].fates


def test_the_story_of_a_halving_names_each_rung_and_its_best() -> None:
    trials = make_trials({"optim.lr": [0.1, 0.2]})
    records = by_trial(pruned(0, **curve(0.5)), completed(1, 0.1, **curve(*CURVE)))
    results = replace(make_results(trials, records), strategy="halving", ladders=(ladder(2),))

    [first, _, _] = tell(results)
    [step] = first.steps

    assert first.name == "rung 1: 1 epoch"
    assert (step.decided, step.guide) == ("2 trials entered: 1 promoted and 1 pruned", "")
    assert [(item.name, item.score) for item in step.evidence] == [("lr=0.1 (trial 0)", "0.5000")]
    assert in_short(results)[0] == (
        "rung 1: 1 epoch: 2 trials entered: 1 promoted and 1 pruned; best 0.5000 with "
        "lr=0.1 (trial 0)"
    )
    assert "the best in 3" in intro(results)


def test_brackets_are_told_one_after_the_other() -> None:
    trials = make_trials({"optim.lr": [0.1, 0.2]})
    records = by_trial(*(completed(n, 0.1, **curve(*CURVE)) for n in (0, 1)))
    brackets = (
        Ladder(RUNGS, 3, ((0,),), "bracket 1"),
        Ladder((3, 9), 3, ((1,),), "bracket 2"),
    )
    results = replace(make_results(trials, records), ladders=brackets)

    names = [stage.name for stage in tell(results)]

    assert names == [
        *(
            f"bracket 1, rung {n}: {e}"
            for n, e in ((1, "1 epoch"), (2, "3 epochs"), (3, "9 epochs"))
        ),
        "bracket 2, rung 1: 3 epochs",
        "bracket 2, rung 2: 9 epochs",
    ]
