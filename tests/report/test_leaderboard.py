from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_builders import by_trial, completed, diverged, failed, make_board, make_trials, scored

from sweep.errors import BadInput
from sweep.plan.trial import Record, State, Trial
from sweep.report.leaderboard import Leaderboard, rank

LR_AND_SEEDS = {"optim.lr": [1e-3, 1e-2], "train.seed": [0, 1, 2]}


def order(board: Leaderboard) -> list[object]:
    return [item.values["optim.lr"][0] for item in board.ranked]


def test_configurations_are_ranked_by_their_mean_over_seeds() -> None:
    trials = make_trials(LR_AND_SEEDS)
    scores = [0.1, 0.5, 0.3, 0.2, 0.2, 0.26]

    board = make_board(trials, by_trial(*(completed(i, s) for i, s in enumerate(scores))))

    best = board.ranked[0]
    assert order(board) == [1e-2, 1e-3]
    assert best.mean == pytest.approx(0.22)
    assert best.sd == pytest.approx(statistics.stdev([0.2, 0.2, 0.26]))
    assert best.trials == (3, 4, 5)


def test_a_single_seed_has_no_spread() -> None:
    board = make_board(make_trials({"optim.lr": [0.1]}), by_trial(completed(0, 0.5)))

    assert board.best is not None
    assert board.best.sd is None


def test_maximizing_puts_the_largest_first() -> None:
    trials = make_trials({"optim.lr": [1e-3, 1e-2]})
    records = by_trial(completed(0, 0.8), completed(1, 0.9))

    assert order(make_board(trials, records, direction="maximize")) == [1e-2, 1e-3]


def test_an_unknown_direction_is_refused() -> None:
    with pytest.raises(BadInput, match="'up' does not exist; write minimize or maximize"):
        rank([], bases=[], records={}, direction="up")


@pytest.mark.parametrize(
    "record",
    [
        diverged(1),
        failed(1),
        Record(1, State.PRUNED, 0.01),
        Record(1, State.CANCELLED),
        completed(1, math.nan),
        completed(1, -math.inf),
        Record(1, State.COMPLETED),
    ],
)
def test_what_did_not_complete_with_a_number_is_counted_and_never_ranked(record: Record) -> None:
    trials = make_trials({"optim.lr": [1e-3, 1e-2]})

    board = make_board(trials, by_trial(completed(0, 9.0), record))

    assert order(board) == [1e-3]
    assert len(board.unranked) == 1
    assert sum(board.counts.values()) == 2
    assert board.counts[record.state] >= 1


def test_a_configuration_that_lost_a_seed_to_divergence_stands_below_all_that_did_not() -> None:
    trials = make_trials(LR_AND_SEEDS)
    records = by_trial(
        *(completed(i, 0.9) for i in range(3)), completed(3, 0.1), completed(4, 0.1), diverged(5)
    )

    board = make_board(trials, records)

    assert order(board) == [1e-3, 1e-2]
    assert board.ranked[1].mean == pytest.approx(0.1)


def test_trials_without_a_record_are_pending() -> None:
    board = make_board(make_trials(LR_AND_SEEDS), by_trial(completed(0, 0.5)))

    assert board.counts == {State.COMPLETED: 1, State.PENDING: 5}


def test_a_study_of_one_trial_has_a_leaderboard() -> None:
    board = make_board([Trial(0, 0, {"optim.lr": 0.1})], by_trial(completed(0, 0.5)))

    assert board.varied == {}
    assert len(board.ranked) == 1


def test_trials_that_are_equal_in_effect_share_one_rank() -> None:
    trials = make_trials({"model.num_layers": [1, 2], "model.dropout": [0.2, 0.3]})
    trials[1] = Trial(1, 0, trials[1].values, same_as=0)

    board = make_board(trials, by_trial(completed(0, 0.1), completed(2, 0.3), completed(3, 0.2)))

    assert [item.trials for item in board.ranked] == [(0,), (3,), (2,)]
    assert board.ranked[0].values == {"model.num_layers": (1,), "model.dropout": (0.2, 0.3)}
    assert (board.twins, board.counts) == (1, {State.COMPLETED: 3})


def test_configurations_that_share_only_some_seeds_are_joined_and_no_seed_counts_twice() -> None:
    trials = [
        Trial(0, 0, {"model.dropout": 0.2, "train.seed": 0}),
        Trial(1, 0, {"model.dropout": 0.2, "train.seed": 1}),
        Trial(2, 0, {"model.dropout": 0.3, "train.seed": 1}, same_as=1),
        Trial(3, 0, {"model.dropout": 0.3, "train.seed": 2}),
    ]

    board = make_board(trials, scored(trials, lambda values: values["train.seed"]))

    assert [item.trials for item in board.ranked] == [(0, 1, 3)]
    assert board.ranked[0].mean == 1.0


def test_another_application_may_call_its_seed_otherwise() -> None:
    trials = make_trials({"optim.lr": [1e-3, 1e-2], "seed": [0, 1]})

    board = make_board(trials, scored(trials, lambda v: v["optim.lr"] + v["seed"]), seed="seed")

    assert [item.trials for item in board.ranked] == [(0, 1), (2, 3)]


OUTCOMES = st.one_of(
    st.floats(0, 10).map(lambda score: (State.COMPLETED, score)),
    st.sampled_from([State.INFEASIBLE, State.FAILED, State.PRUNED, State.CANCELLED]).map(
        lambda state: (state, None)
    ),
    st.none(),
)


@st.composite
def studies(draw: st.DrawFn) -> tuple[list[Trial], dict[int, Record]]:
    """A grid of three settings, some trials of it twins, with records of some of them."""
    trials = make_trials(
        {"optim.lr": [1e-3, 1e-2], "model.dropout": [0.2, 0.3], "train.seed": [0, 1]}
    )
    for number in draw(st.sets(st.sampled_from([2, 3, 6, 7]))):  # dropout 0.3, as with 0.2
        trials[number] = Trial(number, 0, trials[number].values, same_as=number - 2)
    outcomes = draw(st.lists(OUTCOMES, min_size=8, max_size=8))
    records = {
        number: Record(number, state, score)
        for number, outcome in enumerate(outcomes)
        if outcome is not None and trials[number].same_as is None
        for state, score in [outcome]
    }
    return trials, records


@given(studies(), st.randoms())
def test_the_order_of_records_and_trials_does_not_matter(
    study: tuple[list[Trial], dict[int, Record]], rng: random.Random
) -> None:
    trials, records = study
    mixed_trials = rng.sample(trials, len(trials))
    mixed = dict(rng.sample(list(records.items()), len(records)))

    assert make_board(mixed_trials, mixed).ranked == make_board(trials, records).ranked


@given(studies())
def test_a_configuration_with_a_divergence_is_never_above_one_without(
    study: tuple[list[Trial], dict[int, Record]],
) -> None:
    board = make_board(*study)

    flags = [item.infeasible > 0 for item in board.ranked]
    assert flags == sorted(flags)
    assert all(item.scores for item in board.ranked)


@given(studies())
def test_every_trial_stands_in_exactly_one_configuration_with_its_twin(
    study: tuple[list[Trial], dict[int, Record]],
) -> None:
    trials, records = study

    board = make_board(trials, records)

    members = [number for item in (*board.ranked, *board.unranked) for number in item.trials]
    assert sorted(members) == [trial.number for trial in trials if trial.same_as is None]
    for trial in trials:
        if trial.same_as is not None:
            own = [c for c in (*board.ranked, *board.unranked) if trial.same_as in c.trials]
            assert trial.values["model.dropout"] in own[0].values["model.dropout"]


@given(studies())
def test_a_twin_with_its_twins_record_changes_nothing(
    study: tuple[list[Trial], dict[int, Record]],
) -> None:
    trials, records = study
    copies = {t.number: records[t.same_as] for t in trials if t.same_as in records}

    assert make_board(trials, {**records, **copies}) == make_board(trials, records)
