from __future__ import annotations

from report_builders import by_trial, completed, make_board, make_trials, pruned

from sweep.report.equal_epochs import at_level, level
from sweep.report.rungs import find_rungs

TRIALS = make_trials({"optim.lr": [1, 2, 3, 4]})
RECORDS = by_trial(
    completed(0, 0.1, history={"val_loss": [0.9, 0.5, 0.3, 0.1]}),
    pruned(1, history={"val_loss": [0.8]}),
    pruned(2, history={"val_loss": [0.7, 0.6]}),
    pruned(3, history={"val_loss": [0.6, None]}),
)


def test_each_epoch_at_which_trials_were_stopped_is_a_rung() -> None:
    first, second = find_rungs(make_board(TRIALS, RECORDS), records=RECORDS)

    assert (first.epoch, first.reached, first.stopped, first.best) == (1, 4, 1, 0.8)
    assert (second.epoch, second.reached, second.stopped, second.best) == (2, 3, 2, 0.6)
    assert second.configuration is not None
    assert second.configuration.trials == (2,)


def test_the_best_of_a_rung_is_the_highest_where_more_is_better() -> None:
    records = by_trial(*(pruned(n, history={"val_accuracy": [0.1 * n]}) for n in range(4)))
    board = make_board(TRIALS, records, direction="maximize", objective="val_accuracy")

    [rung] = find_rungs(board, records=records)

    assert rung.configuration is not None
    assert rung.configuration.trials == (3,)


def test_without_a_stopped_trial_there_is_no_rung() -> None:
    records = by_trial(completed(0, 0.1))

    assert find_rungs(make_board(TRIALS, records), records=records) == []


def test_all_are_compared_at_the_lowest_rung() -> None:
    found = level(make_board(TRIALS, RECORDS), records=RECORDS)

    assert found.epoch == 1
    assert found.stopped == 3
    assert {item.trials[0]: score for item, score in found.scores} == {
        0: 0.9,
        1: 0.8,
        2: 0.7,
        3: 0.6,
    }


def test_a_stopped_trial_without_an_epoch_sets_no_level() -> None:
    records = by_trial(completed(0, 0.1), pruned(1))

    assert level(make_board(TRIALS, records), records=records).epoch is None


def test_at_that_level_all_are_ranked_by_what_they_had_reached() -> None:
    board = make_board(TRIALS, RECORDS)

    early = at_level(board, level(board, records=RECORDS))

    assert [item.trials[0] for item in early.ranked] == [3, 2, 1, 0]
    assert early.unranked == ()
