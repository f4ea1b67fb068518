from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from report_builders import (
    by_trial,
    completed,
    diverged,
    failed,
    make_results,
    make_trials,
)

from sweep.plan.budget import Spent
from sweep.plan.trial import Record, Trial
from sweep.report.results import Results
from sweep.report.summary import reason_lines, summarize, text

GOLDEN = Path(__file__).parent / "golden"
BASELINES = {
    "persistence": {"val_mse": 0.15, "test_mse": 0.151},
    "seasonal naive": {"val_mse": 0.21, "test_mse": 0.205},
    "ridge": {"val_mse": 0.0795, "test_mse": 0.085},
}
LINKS = ["MLflow  mlflow ui", "Again   python -m sweep resume forecast-3f2a --store ./" + "x" * 60]


def start_study() -> Results:
    """The guide's 18 trials: one failed, two diverged, the highest learning rate won."""
    grid = {
        "model.hidden_size": [50, 100, 200],
        "model.num_layers": [1, 2],
        "optim.lr": [1e-4, 1e-3, 1e-2],
    }
    trials = make_trials(grid)
    records: list[Record] = []
    for trial in trials:
        lr, hidden = trial.values["optim.lr"], trial.values["model.hidden_size"]
        if trial.number == 5:
            records.append(failed(5))
        elif lr == 1e-2 and hidden == 200:
            records.append(diverged(trial.number))
        else:
            score = 0.08 + {1e-4: 0.03, 1e-3: 0.01, 1e-2: 0.003}[lr] + 0.4 / hidden
            score += trial.values["model.num_layers"] / 1000
            curves = {"best_epoch": 20.0, "epochs": 20.0}
            records.append(completed(trial.number, score, metrics=curves))
    return make_results(trials, by_trial(*records), baselines=BASELINES, test={0: 0.0981})


def wide_study() -> Results:
    """Nine settings with long names, two seeds, and dropout without effect on one layer."""
    grid = {
        "model.hidden_size": [50, 100],
        "model.num_layers": [1, 2],
        "model.dropout": [0.2, 0.3],
        "train.batch_size": [32, 64],
        "optim.lr": [0.001],
        "optim.schedule.name": ["constant", "exponential"],
        "optim.schedule.warmup_epochs": [0, 5],
        "train.seed": [0, 1],
    }
    trials = make_trials(grid)
    places = {tuple(trial.values.values()): trial.number for trial in trials}
    for trial in trials:
        values = trial.values
        if values["model.num_layers"] == 1 and values["model.dropout"] == 0.3:
            twin = places[tuple({**values, "model.dropout": 0.2}.values())]
            trials[trial.number] = Trial(trial.number, 0, values, same_as=twin)
    records = [completed(t.number, 0.1 + t.number / 1000) for t in trials if t.same_as is None]
    return make_results(trials, by_trial(*records), baselines=BASELINES)


@pytest.mark.parametrize(
    ("name", "results", "width"),
    [("start-80", start_study, 80), ("wide-80", wide_study, 80), ("wide-120", wide_study, 120)],
)
def test_the_summary_reads_as_it_should(name: str, results: object, width: int) -> None:
    assert callable(results)
    summary = summarize(results(), title="forecast-3f2a", links=LINKS)

    assert text(summary, width=width) == (GOLDEN / f"{name}.txt").read_text()


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("results", [start_study, wide_study])
def test_no_line_is_wider_than_the_terminal_but_a_link(results: object, width: int) -> None:
    assert callable(results)
    lines = text(summarize(results(), title="s"), width=width).splitlines()

    assert max(map(len, lines)) <= width


def test_a_link_is_never_broken() -> None:
    lines = text(summarize(start_study(), title="s", links=LINKS), width=40).splitlines()

    assert lines[-2:] == LINKS


def test_ten_configurations_are_shown_and_the_rest_is_counted() -> None:
    shown = text(summarize(start_study(), title="s"))

    assert "\n10 " in shown
    assert "\n11 " not in shown
    assert "5 more configurations ranked below." in shown


def test_the_test_score_is_shown_for_the_winner_and_the_baselines_alone() -> None:
    shown = text(summarize(start_study(), title="s"))

    board = shown.partition("Leaderboard")[2].partition("Warnings")[0].splitlines()
    with_test = [line.split()[0] for line in board if line.rstrip().endswith(TEST_SCORES)]
    assert with_test == ["ridge", "1", "persistence", "seasonal"]


TEST_SCORES = ("0.08500", "0.09810", "0.15100", "0.20500")


def test_seeds_show_as_mean_spread_and_how_many_completed() -> None:
    trials = make_trials({"optim.lr": [1e-3, 1e-2], "train.seed": [0, 1, 2]})
    records = by_trial(
        *(completed(i, s) for i, s in enumerate([0.1, 0.2, 0.3])), completed(3, 0.05), diverged(4)
    )
    results = make_results(trials, records, test={0: 0.3, 1: 0.5})

    shown = text(summarize(results, title="s"), width=120)

    assert (
        "val_mse 0.2000 +/- 0.1000 over 3 seeds; test_mse 0.4000 +/- 0.1414 over 2 seeds" in shown
    )
    assert "1     0.001   0.2000  0.1000      3    0.4000" in shown
    assert "2      0.01   0.0500            1/3" in shown
    assert "Rank 2 lost a seed to divergence, and so stands below all that did not" in shown


def test_a_study_in_which_nothing_completed_says_why() -> None:
    trials = make_trials({"optim.lr": [1.0, 2.0, 3.0]})
    results = make_results(trials, by_trial(failed(0), diverged(1)))

    shown = text(summarize(results, title="s"))

    assert "3 trials: 1 infeasible, 1 failed and 1 pending." in shown
    assert "1 failed (trial 0): MemoryError: no memory." in shown
    assert "Best:" not in shown
    assert "Leaderboard" not in shown


def test_twins_are_counted_beside_the_trained_trials() -> None:
    shown = text(summarize(wide_study(), title="s"))

    assert "96 trials: 96 completed. 32 more share a result with one" in shown


def test_what_workers_held_is_told_as_that() -> None:
    spent = Spent(cpu_s=7200.0, wasted_cpu_s=1800.0)

    shown = text(summarize(replace(wide_study(), spent=spent), title="s"), width=200)

    assert "Workers held 2 CPU-hours (30 CPU-minutes of them lost)." in shown


def test_many_trials_of_one_reason_are_named_by_the_first() -> None:
    trials = make_trials({"train.seed": list(range(9))})
    results = make_results(trials, by_trial(*(failed(i) for i in range(9))))

    summary = summarize(results, title="s")

    assert reason_lines(summary.reasons) == [
        "9 failed (trials 0, 1, 2 and 6 more): MemoryError: no memory."
    ]
