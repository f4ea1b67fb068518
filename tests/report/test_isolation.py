from __future__ import annotations

import pytest
from report_builders import by_trial, completed, diverged, make_board, make_trials, scored

from sweep.plan.trial import Trial
from sweep.report.isolation import isolate


def test_each_value_has_its_best_over_all_other_settings() -> None:
    trials = make_trials({"optim.lr": [1e-3, 1e-2], "model.hidden_size": [50, 100, 200]})
    records = scored(trials, lambda v: v["optim.lr"] + 1 / v["model.hidden_size"])

    rows = isolate(make_board(trials, records))

    lr = [row for row in rows if row.key == "optim.lr"]
    assert [row.value for row in lr] == [1e-3, 1e-2]
    assert [row.best for row in lr] == pytest.approx([0.006, 0.015])
    assert [row.median for row in lr] == pytest.approx([0.011, 0.02])
    assert [row.count for row in lr] == [3, 3]
    assert [row.value for row in rows if row.key == "model.hidden_size"] == [50, 100, 200]


def test_maximizing_takes_the_largest() -> None:
    trials = make_trials({"optim.lr": [1e-3, 1e-2], "model.hidden_size": [50, 100]})
    records = scored(trials, lambda v: v["model.hidden_size"])

    rows = isolate(make_board(trials, records, direction="maximize"))

    assert rows[0].best == 100


def test_a_value_that_always_diverged_is_listed_with_its_divergences() -> None:
    trials = make_trials({"optim.lr": [1e-3, 1.0]})

    rows = isolate(make_board(trials, by_trial(completed(0, 0.1), diverged(1))))

    assert [(row.best, row.count, row.infeasible) for row in rows] == [(0.1, 1, 0), (None, 0, 1)]


def test_the_best_of_a_value_is_the_highest_in_rank_not_a_lucky_seed() -> None:
    trials = make_trials({"optim.lr": [1e-3], "model.hidden_size": [50, 100], "train.seed": [0, 1]})
    trials += [Trial(4, 0, {"optim.lr": 1e-2, "model.hidden_size": 50, "train.seed": 0})]
    records = by_trial(
        completed(0, 0.2), completed(1, 0.2), completed(2, 0.1), diverged(3), completed(4, 0.3)
    )

    rows = isolate(make_board(trials, records))

    assert (rows[0].value, rows[0].best) == (1e-3, 0.2)


def test_a_configuration_says_nothing_about_a_setting_without_effect_in_it() -> None:
    trials = make_trials({"model.num_layers": [1, 2], "model.dropout": [0.2, 0.3]})
    trials[1] = Trial(1, 0, trials[1].values, same_as=0)
    records = by_trial(completed(0, 0.1), completed(2, 0.3), completed(3, 0.2))

    rows = isolate(make_board(trials, records))

    dropout = {row.value: (row.best, row.count) for row in rows if row.key == "model.dropout"}
    assert dropout == {0.2: (0.3, 1), 0.3: (0.2, 1)}


def test_a_setting_without_any_effect_has_no_rows() -> None:
    trials = make_trials({"model.dropout": [0.2, 0.3]})
    trials[1] = Trial(1, 0, trials[1].values, same_as=0)

    assert isolate(make_board(trials, by_trial(completed(0, 0.1)))) == []
