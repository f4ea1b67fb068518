from __future__ import annotations

from report_builders import make_trials

from sweep.plan.trial import Trial
from sweep.report.varied import find_varied, short_names


def test_a_setting_with_one_value_does_not_vary() -> None:
    trials = make_trials({"optim.lr": [1e-2, 1e-3], "train.epochs": [20]})

    varied = find_varied(trials, bases=[{"train.epochs": 50}])

    assert varied.values == {"optim.lr": (1e-3, 1e-2)}


def test_numbers_are_sorted_and_names_stay_as_they_came() -> None:
    trials = make_trials({"optim.name": ["sgd", "adam"], "model.hidden_size": [200, 50]})

    varied = find_varied(trials, bases=[{}])

    assert varied.values == {"optim.name": ("sgd", "adam"), "model.hidden_size": (50, 200)}


def test_a_setting_that_a_trial_does_not_name_has_the_value_of_its_base() -> None:
    trials = [Trial(0, 0, {"optim.lr": 0.1}), Trial(1, 0, {})]

    varied = find_varied(trials, bases=[{"optim.lr": 0.001}])

    assert varied.of(trials[1]) == {"optim.lr": 0.001}
    assert varied.values == {"optim.lr": (0.001, 0.1)}


def test_bases_that_differ_vary_and_equal_bases_of_two_rounds_do_not() -> None:
    trials = [Trial(0, 0, {"optim.lr": 0.1}), Trial(1, 1, {"optim.lr": 0.1})]
    same, other = {"optim.name": "adam", "data.target": ["t"]}, {"optim.name": "sgd"}

    assert find_varied(trials, bases=[same, dict(same)]).values == {}
    assert find_varied(trials, bases=[same, {**same, **other}]).values == {
        "optim.name": ("adam", "sgd")
    }


def test_lists_can_vary() -> None:
    trials = make_trials({"data.covariates": [["dewp"], ["dewp", "visib"]]})

    varied = find_varied(trials, bases=[{}])

    assert varied.values == {"data.covariates": (["dewp"], ["dewp", "visib"])}


def test_names_are_as_short_as_tells_them_apart() -> None:
    assert short_names(["optim.lr", "model.hidden_size"]) == {
        "optim.lr": "lr",
        "model.hidden_size": "hidden_size",
    }
    assert short_names(["train.patience", "optim.schedule.patience"]) == {
        "train.patience": "train.patience",
        "optim.schedule.patience": "schedule.patience",
    }


def test_a_choice_of_a_group_is_called_by_the_group() -> None:
    assert short_names(["optim.name", "optim.schedule.name"]) == {
        "optim.name": "optim",
        "optim.schedule.name": "schedule",
    }


def test_names_stay_unique_where_one_key_ends_as_another_is_called() -> None:
    names = short_names(["optim", "optim.name", "a.lr", "b.a.lr"])

    assert len(set(names.values())) == 4


def test_a_trial_is_labelled_by_what_varies_alone() -> None:
    trials = make_trials({"optim.lr": [1e-3, 1e-2], "train.epochs": [20], "train.seed": [0, 1]})

    varied = find_varied(trials, bases=[{}])

    assert varied.label(trials[3]) == "lr=0.01 seed=1"
