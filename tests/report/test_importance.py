from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import pytest
from report_builders import by_trial, completed, make_board, make_trials, pruned, scored

from sweep.plan.trial import Trial
from sweep.report.importance import (
    LEAST,
    LEAST_PAIR,
    LEAST_UNCLEAR,
    MOST,
    Importance,
    find_importance,
)

GRID = {
    "optim.lr": [1e-4, 1e-3, 1e-2, 1e-1],
    "model.hidden_size": [50, 100, 200],
    "optim.name": ["adam", "sgd"],
}


def shares_of(importance: Importance) -> dict[str, float]:
    return {share.key: share.mean for share in importance.shares}


def test_the_setting_that_was_planted_comes_first() -> None:
    trials = make_trials(GRID)
    planted = {"adam": 0.0, "sgd": 5.0}
    records = scored(
        trials, lambda v: planted[v["optim.name"]] + v["model.hidden_size"] / 200 + v["optim.lr"]
    )

    found = find_importance(make_board(trials, records))

    assert next(iter(shares_of(found))) == "optim.name"
    assert shares_of(found)["optim.name"] > 0.8
    assert shares_of(found)["optim.lr"] < 0.05


def test_a_learning_rate_counts_by_its_values_and_not_by_its_distances() -> None:
    trials = make_trials(GRID)
    # Three of four rates differ, all of them within a thousandth of the linear range.
    level = {1e-4: 0.0, 1e-3: 1.0, 1e-2: 2.0, 1e-1: 3.0}
    records = scored(trials, lambda v: level[v["optim.lr"]] + v["model.hidden_size"] / 100)

    found = shares_of(find_importance(make_board(trials, records)))

    # Exactly: the variances of 0, 1, 2, 3 and of .5, 1, 2.
    assert found["optim.lr"] == pytest.approx(1.25 / (1.25 + 0.389), abs=0.1)
    assert found["model.hidden_size"] == pytest.approx(0.389 / (1.25 + 0.389), abs=0.1)


def test_what_only_two_settings_together_explain_is_told_apart() -> None:
    trials = make_trials({"a": [0, 1], "b": [0, 1], "c": [0, 1, 2, 3]})
    records = scored(trials, lambda v: float(v["a"] != v["b"]) + v["c"] / 1000)

    found = find_importance(make_board(trials, records))

    assert found.pairs[0].keys == ("a", "b")
    assert found.pairs[0].mean > 0.5
    assert found.pairs[0].clear


def test_the_forests_have_fixed_seeds_and_say_how_far_they_disagree() -> None:
    trials = make_trials(GRID)
    draw = random.Random(1)
    noise = {trial.number: draw.random() for trial in trials}
    records = by_trial(*(completed(n, score) for n, score in noise.items()))
    board = make_board(trials, records)

    first, second = find_importance(board), find_importance(board)

    assert first == second
    assert max(share.sd for share in first.shares) > 0.01


def test_too_few_trials_are_said_to_be_too_few() -> None:
    trials = make_trials({"optim.lr": [1e-3, 1e-2], "model.hidden_size": [50, 100]})

    found = find_importance(make_board(trials, scored(trials, lambda v: v["optim.lr"])))

    assert found.shares == ()
    assert found.notes == (
        "Too few trials: 4 configurations for 2 varied settings, 10 are needed.",
    )


def test_even_one_setting_needs_some_trials() -> None:
    trials = make_trials({"optim.lr": [0.1 * i for i in range(1, LEAST)]})

    found = find_importance(make_board(trials, scored(trials, lambda v: v["optim.lr"])))

    assert found.notes[0].startswith("Too few trials")


def test_settings_varied_one_at_a_time_cannot_show_interactions() -> None:
    start: dict[str, Any] = {"a": 0, "b": 0}
    designs = [start] + [{**start, key: i} for key in start for i in range(1, 7)]
    trials = [Trial(number, 0, values) for number, values in enumerate(designs)]
    records = scored(trials, lambda v: v["a"] + v["b"] / 10)

    found = find_importance(make_board(trials, records))

    assert found.pairs == ()
    assert found.rest is None
    assert found.notes[0].startswith("Settings were varied one at a time")
    assert next(iter(shares_of(found))) == "a"


def test_a_setting_without_effect_in_some_configurations_is_judged_among_the_others() -> None:
    grid = {"model.num_layers": [1, 2], "model.dropout": [0.2, 0.3, 0.4], "optim.lr": [1, 2, 3, 4]}
    trials = make_trials(grid)
    place = {tuple(t.values.values()): t.number for t in trials}
    trials = [
        Trial(t.number, 0, t.values, same_as=place[1, 0.2, t.values["optim.lr"]])
        if t.values["model.num_layers"] == 1 and t.values["model.dropout"] > 0.2
        else t
        for t in trials
    ]
    trained = [t for t in trials if t.same_as is None]
    records = scored(trained, lambda v: v["model.dropout"] * 100 + v["optim.lr"])

    found = find_importance(make_board(trials, records))

    dropout = next(share for share in found.shares if share.key == "model.dropout")
    assert dropout.among == 12
    assert dropout.mean > 0.8


def test_a_setting_that_one_choice_lacks_is_judged_among_the_configurations_that_have_it() -> None:
    sgd = make_trials(
        {"optim.name": ["sgd"], "optim.momentum": [0.0, 0.5, 0.9], "lr": [1, 2, 3, 4]}
    )
    adam = make_trials({"optim.name": ["adam"], "lr": [1, 2, 3, 4]})
    trials = [*sgd, *(Trial(12 + t.number, 0, t.values) for t in adam)]
    records = scored(trials, lambda v: v.get("optim.momentum", 0.5) + v["lr"] / 100)

    found = find_importance(make_board(trials, records))

    momentum = next(share for share in found.shares if share.key == "optim.momentum")
    assert momentum.among == 12
    assert momentum.mean > 0.8


def test_none_is_a_value_where_no_choice_explains_it() -> None:
    trials = make_trials({"optim.clip_norm": [None, 1.0], "optim.lr": [1, 2, 3, 4, 5]})
    records = scored(trials, lambda v: 0.0 if v["optim.clip_norm"] else 1.0)

    found = find_importance(make_board(trials, records))

    assert shares_of(found)["optim.clip_norm"] > 0.95


def test_of_many_configurations_some_are_drawn() -> None:
    trials = make_trials({"optim.lr": [i / 1000 for i in range(1, 111)], "x": list(range(10))})
    records = scored(trials, lambda v: v["optim.lr"])

    found = find_importance(make_board(trials, records))

    assert found.notes == (f"Estimated from {MOST:,} of 1,100 configurations, drawn at random.",)
    assert shares_of(found)["optim.lr"] > 0.9


def test_equal_scores_say_that_nothing_matters() -> None:
    trials = make_trials(GRID)

    found = find_importance(make_board(trials, scored(trials, lambda _: 1.0)))

    assert found.notes == ("Every configuration came to the same: nothing matters here.",)


def test_without_numpy_it_says_what_to_install() -> None:
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
from importlib.machinery import PathFinder

class Without:
    def find_spec(self, name, path=None, target=None):
        return None if name == "numpy" else PathFinder.find_spec(name, path, target)

sys.meta_path[:] = [f for f in sys.meta_path if f is not PathFinder and "Path" not in str(f)]
sys.meta_path.append(Without())
from report_builders import make_board, make_trials, scored
from sweep.report.importance import find_importance
trials = make_trials({{"a": [1, 2, 3], "b": [1, 2, 3, 4]}})
print(find_importance(make_board(trials, scored(trials, lambda v: v["a"]))).notes[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "pip install numpy" in done.stdout


def test_what_a_strategy_chose_by_results_is_exploratory() -> None:
    trials = make_trials(GRID)
    board = make_board(trials, scored(trials, lambda v: v["optim.lr"]))

    assert not find_importance(board, strategy="sobol").exploratory
    found = find_importance(board, strategy="tpe")
    assert found.exploratory
    assert found.notes[0].startswith("Exploratory: tpe chose these trials by earlier results")


def test_trials_that_were_stopped_at_a_rung_are_compared_at_an_epoch_that_all_reached() -> None:
    trials = make_trials({"a": [0, 1, 2, 3], "b": [0, 1, 2]})
    records = []
    for trial in trials:
        a, b = trial.values["a"], trial.values["b"]
        early = [5.0 + a, 4.0 + a]  # until the rung only `a` matters
        if a < 2:
            late = {"val_loss": [*early, b / 10]}
            records.append(completed(trial.number, b / 10, history=late))
        else:
            records.append(pruned(trial.number, history={"val_loss": early}))

    results = by_trial(*records)
    found = find_importance(make_board(trials, results), records=results)

    assert shares_of(found)["a"] > 0.95
    which = "the last that all 12 configurations reached: 6 of them were stopped at a rung"
    assert found.notes == (f"By val_mse at epoch 2, {which}.",)


def test_a_pair_that_explains_next_to_nothing_is_not_told() -> None:
    trials = make_trials({"a": [0, 1, 2], "b": [0, 1, 2], "c": [0, 1, 2]})
    board = make_board(trials, scored(trials, lambda v: v["a"] + v["b"] * 2.0 + v["c"]))

    found = find_importance(board)

    assert all(pair.mean >= LEAST_PAIR for pair in found.pairs)
    assert found.rest is not None
    told = sum(s.mean for s in found.shares) + sum(p.mean for p in found.pairs)
    assert told + found.rest == pytest.approx(1.0, abs=0.01)


def test_pairs_that_chance_makes_are_not_called_clear() -> None:
    draw = random.Random(3)
    trials = make_trials({"a": [1, 2, 3], "b": [1, 2, 3, 4], "c": [1, 2, 3, 4, 5]})
    noisy = {trial.number: trial.values["a"] + draw.gauss(0, 1) for trial in trials}
    records = by_trial(*(completed(number, score) for number, score in noisy.items()))

    found = find_importance(make_board(trials, records)).pairs

    assert not any(pair.clear for pair in found)
    assert all(pair.mean >= LEAST_UNCLEAR for pair in found)
