from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from report_builders import (
    by_trial,
    completed,
    diverged,
    make_results,
    make_trials,
    pruned,
    scored,
)

from sweep.plan.trial import Record
from sweep.report.results import Results
from sweep.report.warnings import Finding, Kind, find_warnings

SEEDS = {"optim.lr": [1e-3, 1e-2], "train.seed": [0, 1, 2, 3, 4]}
RIDGE = {"ridge": {"val_mse": 0.08, "test_mse": 0.085}}


def found(results: Results, kind: Kind) -> list[Finding]:
    return [finding for finding in find_warnings(results) if finding.kind is kind]


def one_setting(*scores: float, **more: object) -> Results:
    """One configuration a score, two learning rates apart from any edge rule."""
    trials = make_trials({"optim.name": [f"o{i}" for i in range(len(scores))]})
    records = by_trial(*(completed(i, score) for i, score in enumerate(scores)))
    return make_results(trials, records, **more)  # type: ignore[arg-type]


def seeded(*scores: float) -> Results:
    return make_results(
        make_trials(SEEDS), by_trial(*(completed(i, s) for i, s in enumerate(scores)))
    )


def test_ridge_winning_is_said_plainly() -> None:
    (warning,) = found(one_setting(0.09, 0.1, baselines=RIDGE), Kind.BASELINE)

    assert warning.text == (
        "ridge (0.08000) beats every configuration: the best reaches val_mse 0.09000."
    )


def test_all_baselines_that_win_are_named_the_best_first() -> None:
    baselines = {
        "persistence": {"val_mse": 0.085},
        "seasonal naive": {"val_mse": 0.5},
        "ridge": {"val_mse": 0.08},
        "broken": {"val_mse": float("nan")},
    }

    (warning,) = found(one_setting(0.09, 0.1, baselines=baselines), Kind.BASELINE)

    assert warning.text.startswith("ridge (0.08000) and persistence (0.08500) beat every")


def test_a_baseline_that_wins_on_the_test_part_alone_is_named() -> None:
    results = one_setting(0.07, 0.1, baselines=RIDGE, test={0: 0.098})

    (warning,) = found(results, Kind.BASELINE)

    assert "ridge (0.08500) beats the best configuration on the test part" in warning.text
    assert "test_mse 0.09800" in warning.text


def test_beaten_baselines_need_no_word() -> None:
    assert found(one_setting(0.07, 0.1, baselines=RIDGE, test={0: 0.08}), Kind.BASELINE) == []


def test_baselines_are_compared_in_the_direction_of_the_objective() -> None:
    baselines = {"naive Bayes": {"val_mse": 0.8}}

    losing = one_setting(0.79, 0.7, baselines=baselines, direction="maximize")
    winning = one_setting(0.81, 0.7, baselines=baselines, direction="maximize")

    assert len(found(losing, Kind.BASELINE)) == 1
    assert found(winning, Kind.BASELINE) == []


@pytest.mark.parametrize(("lost", "warned"), [(1, False), (2, True)])
def test_more_than_a_fifth_of_the_trials_diverging_is_too_many(lost: int, warned: bool) -> None:
    trials = make_trials({"optim.lr": [1e-4, 1e-3, 1e-2, 1e-1, 1.0]})
    records = [completed(i, 0.1) for i in range(5 - lost)]
    records += [diverged(i) for i in range(5 - lost, 5)]

    assert bool(found(make_results(trials, by_trial(*records)), Kind.INFEASIBLE)) is warned


def test_the_value_that_diverged_trials_share_is_named() -> None:
    trials = make_trials({"model.hidden_size": [50, 100], "optim.lr": [1e-3, 1e-2, 1e-1]})
    records = by_trial(*(diverged(i) if i % 3 == 2 else completed(i, 0.1 + i) for i in range(6)))

    (warning,) = found(make_results(trials, records), Kind.INFEASIBLE)

    assert warning.text == "2 of 6 trials diverged (33%), 2 of them at lr=0.1."


def test_a_lead_that_seeds_do_not_bear_out_is_noise() -> None:
    results = seeded(0.10, 0.12, 0.14, 0.12, 0.11, 0.13, 0.11, 0.15, 0.11, 0.12)

    (warning,) = found(results, Kind.SEED_NOISE)

    assert "No difference between the best and the second is known" in warning.text
    assert warning.evidence["alike"] == 2


def test_a_lead_on_every_seed_is_none() -> None:
    results = seeded(0.10, 0.11, 0.12, 0.11, 0.10, 0.115, 0.125, 0.134, 0.126, 0.115)

    assert found(results, Kind.SEED_NOISE) == []


def test_what_stands_low_for_a_divergence_is_not_counted_among_those_that_are_alike() -> None:
    trials = make_trials({"optim.lr": [1e-3, 1e-2, 1e-1], "train.seed": [0, 1, 2, 3, 4]})
    scores = [0.10, 0.12, 0.14, 0.12, 0.11, 0.13, 0.11, 0.15, 0.11, 0.12, 0.1, 0.1, 0.1, 0.1]
    records = by_trial(*(completed(i, s) for i, s in enumerate(scores)), diverged(14))

    (warning,) = found(make_results(trials, records), Kind.SEED_NOISE)

    assert warning.evidence["alike"] == 2


@pytest.mark.parametrize("seeds", [1, 2, 4])
def test_with_fewer_than_five_seeds_the_noise_is_unknown(seeds: int) -> None:
    trials = make_trials({"optim.lr": [1e-3, 1e-2], "train.seed": list(range(seeds))})
    results = make_results(trials, scored(trials, lambda v: v["optim.lr"] + v["train.seed"]))

    (warning,) = found(results, Kind.SEED_NOISE)

    assert "is unknown" in warning.text
    assert f"{seeds} seed" in warning.text
    assert "hydra.sweeper.confirm=3x5" in warning.remedy


def test_a_best_value_at_the_edge_says_where_to_go_on() -> None:
    trials = make_trials({"model.hidden_size": [50, 100, 200]})
    results = make_results(trials, scored(trials, lambda v: 1 / v["model.hidden_size"]))

    (warning,) = found(results, Kind.BOUNDARY)

    assert warning.text == (
        "The best hidden_size (200) is the highest of 3 values from 50 to 200: "
        "a better one may lie beyond."
    )
    assert warning.remedy == "The guide's range goes on to 500: add model.hidden_size=300."


def test_a_setting_the_guide_does_not_know_gets_a_value_to_add() -> None:
    trials = make_trials({"optim.clip_norm": [0.5, 1.0, 2.0]})
    results = make_results(trials, scored(trials, lambda v: v["optim.clip_norm"]))

    (warning,) = found(results, Kind.BOUNDARY)

    assert warning.remedy == "Add optim.clip_norm=0.25."


def with_curves(best_epochs: Sequence[int]) -> Results:
    """Configurations in the order of their rank, each with its best epoch of ten."""
    trials = make_trials({"optim.name": [f"o{i}" for i in range(len(best_epochs))]})
    records = [
        completed(i, 0.1 + i, metrics={"best_epoch": best, "epochs": 10})
        for i, best in enumerate(best_epochs)
    ]
    return make_results(trials, by_trial(*records))


def test_the_best_trial_ending_on_its_best_epoch_is_still_improving() -> None:
    (warning,) = found(with_curves([10, 4, 4]), Kind.STILL_IMPROVING)

    assert warning.text == (
        "The best configuration was still improving at the last epoch, as were 1 of 3 trials "
        "of the top 3 configurations."
    )


def test_most_of_the_top_still_improving_is_a_pattern_too() -> None:
    (warning,) = found(with_curves([4, 10, 10, 4, 4, 4]), Kind.STILL_IMPROVING)

    assert warning.text.startswith("2 of 3 trials of the top 3 configurations were still")


def test_the_top_is_a_quarter_of_a_large_study() -> None:
    (warning,) = found(with_curves([4, 10, 4, 10] + [4] * 12), Kind.STILL_IMPROVING)

    assert warning.evidence == {"best": False, "shown": 2, "known": 4}


def test_what_ends_early_or_ranks_low_is_no_pattern() -> None:
    assert found(with_curves([4, 4, 4, 10, 10, 10]), Kind.STILL_IMPROVING) == []


def test_overfitting_of_the_best_is_told_with_the_guides_remedy() -> None:
    trials = make_trials({"optim.name": ["adam", "sgd"]})
    history = {"train_loss": [0.5, 0.3, 0.2, 0.1], "val_loss": [0.4, 0.3, 0.35, 0.4]}
    records = by_trial(completed(0, 0.1, history=history), completed(1, 0.2))

    (warning,) = found(make_results(trials, records), Kind.OVERFIT)

    assert warning.evidence == {"best": True, "shown": 1, "known": 1}
    assert "dropout" in warning.remedy


def test_fewer_than_five_configurations_a_setting_are_too_few_to_tell() -> None:
    grid = {"optim.lr": [1e-4, 1e-3, 1e-2], "model.hidden_size": [50, 100, 200]}
    trials = make_trials(grid)
    results = make_results(trials, scored(trials, lambda v: v["optim.lr"]))
    more = make_trials({**grid, "model.num_layers": [1, 2]})[:15]

    (warning,) = found(results, Kind.FEW_TRIALS)

    assert warning.text.startswith("9 configurations for 2 varied settings")
    assert "at least 10" in warning.remedy
    assert warning.evidence["needed"] == 10
    assert len(found(make_results(more, scored(more, lambda v: 1.0)), Kind.FEW_TRIALS)) == 0


@pytest.mark.parametrize("records", [[], [diverged(0), diverged(1)]])
def test_a_study_without_results_has_no_opinion_but_on_divergence(records: list[Record]) -> None:
    trials = make_trials({"optim.lr": [1.0, 2.0]})

    warnings = find_warnings(make_results(trials, by_trial(*records), baselines=RIDGE))

    assert {warning.kind for warning in warnings} <= {Kind.INFEASIBLE}
    assert bool(warnings) is bool(records)


def test_the_gravest_warning_comes_first() -> None:
    trials = make_trials({"optim.lr": [1e-4, 1e-3, 1e-2]})
    records = scored(trials, lambda v: 1 - v["optim.lr"])

    kinds = [w.kind for w in find_warnings(make_results(trials, records, baselines=RIDGE))]

    assert kinds == [Kind.BASELINE, Kind.SEED_NOISE, Kind.BOUNDARY, Kind.FEW_TRIALS]
    assert kinds == sorted(kinds, key=list(Kind).index)


def test_what_the_data_cannot_test_is_said() -> None:
    trials = make_trials({"optim.name": ["adam", "sgd"]})
    plain = make_results(trials, scored(trials, lambda v: 1.0))

    (warning,) = found(replace(plain, notes=("No sentence is longer.",)), Kind.OUT_OF_REACH)

    assert warning.text == "No sentence is longer."
    assert not found(plain, Kind.OUT_OF_REACH)


def test_trials_that_were_stopped_at_a_rung_count_where_importance_is_read_of_them() -> None:
    trials = make_trials({"optim.lr": [1, 2, 3, 4, 5, 6]})
    records = by_trial(
        completed(0, 0.1, history={"val_loss": [0.2, 0.1]}),
        *(pruned(n, history={"val_loss": [0.2 + n]}) for n in range(1, 6)),
    )

    found = find_warnings(make_results(trials, records))

    assert Kind.FEW_TRIALS not in {finding.kind for finding in found}
