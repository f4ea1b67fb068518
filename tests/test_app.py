"""What the LSTM application tells sweep about itself."""

import io
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import fmean
from types import FrameType
from typing import Any

import numpy as np
import pytest

from sweep import schema
from sweep.app import APPLICATION, configs
from sweep.errors import BadInput
from sweep.plan.application import Epoch
from sweep.plan.facets import Facet
from sweep.plan.trial import State
from sweep.schema import DEFAULTS, flatten, unflatten
from sweep.train.score import score, scored

COLUMNS = ["dewp", "humid", "wind_speed", "pressure", "visib"]


def make_tree(**changes: Any) -> dict[str, Any]:
    """A tiny trial on the first weeks of the JFK weather (`__` for a dot)."""
    flat = {
        **DEFAULTS,
        "data.time": "time_hour",
        "data.target": ["temp"],
        "data.covariates": COLUMNS,
        "data.lookback": 12,
        "data.horizon": 6,
        "data.split": [200, 60, 60],
        "model.hidden_size": 4,
        "train.epochs": 2,
        "train.device": "cpu",
        **{key.replace("__", "."): value for key, value in changes.items()},
    }
    return unflatten(flat)


def flat(**changes: Any) -> Mapping[str, Any]:
    return flatten(make_tree(**changes))


@contextmanager
def calls_of(function: Callable[..., Any]) -> Iterator[Callable[[], int]]:
    """Count how often a function is called, whoever calls it by whatever name."""
    calls = 0

    def note(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code is function.__code__

    sys.setprofile(note)
    try:
        yield lambda: calls
    finally:
        sys.setprofile(None)


def test_a_trial_gives_an_objective_its_history_and_its_weights() -> None:
    epochs: list[Epoch] = []

    result = APPLICATION.run(make_tree(), epochs.append)

    assert result.state is State.COMPLETED
    assert [epoch.number for epoch in epochs] == [1, 2]
    assert all(math.isfinite(value) for epoch in epochs for value in epoch.metrics.values())
    assert result.objective is not None
    assert result.weights
    assert {len(values) for values in result.history.values()} == {2}


def test_the_winner_is_scored_on_the_test_part_and_predicts_from_raw_rows() -> None:
    tree = make_tree()
    weights = APPLICATION.run(tree, lambda _: None).weights
    assert weights is not None

    winner = APPLICATION.crown(tree, weights)

    assert winner.metrics["test_mse"] > 0
    assert winner.outputs == ["temp"]
    assert list(winner.example) == ["temp", *COLUMNS]
    assert {len(values) for values in winner.example.values()} == {12}
    assert all(content for content in winner.model.values())


def test_what_crowned_the_seeds_of_a_winner_also_compares_them() -> None:
    trees = [make_tree(train__seed=seed, train__epochs=1) for seed in (0, 1)]
    weights = [APPLICATION.run(tree, lambda _: None).weights or b"" for tree in trees]
    assert APPLICATION.paired_errors is not None

    with calls_of(scored) as count:
        metrics = [
            APPLICATION.crown(tree, own).metrics for tree, own in zip(trees, weights, strict=True)
        ]
        paired = APPLICATION.paired_errors(trees[0], weights, None)

    assert count() == 2  # each once
    for own, errors in zip(metrics, paired.own, strict=True):
        assert fmean(errors) == pytest.approx(own["test_mse"], rel=1e-5)


def test_seeds_that_threads_score_get_what_one_after_another_would() -> None:
    trees = [make_tree(train__seed=seed, train__epochs=1) for seed in range(4)]
    weights = [APPLICATION.run(tree, lambda _: None).weights or b"" for tree in trees]

    with ThreadPoolExecutor(4) as pool:
        winners = list(pool.map(APPLICATION.crown, trees, weights))

    for tree, own, winner in zip(trees, weights, winners, strict=True):
        arrays = dict(np.load(io.BytesIO(own)))
        assert winner.metrics == score(schema.parse(tree), weights=arrays, part="test")


def test_a_trial_that_diverges_is_infeasible_with_a_remedy() -> None:
    tree = make_tree(optim__name="sgd", optim__lr=1e6, train__epochs=5)

    result = APPLICATION.run(tree, lambda _: None)

    assert result.state is State.INFEASIBLE
    assert result.objective is None
    assert result.failure is not None
    assert "lower the learning rate" in result.failure.remedy


def test_a_bad_setting_is_refused_before_data_are_read() -> None:
    with pytest.raises(BadInput, match=r"model\.dropout=2"):
        APPLICATION.run(make_tree(model__dropout=2, data__path="absent.csv"), lambda _: None)


def test_baselines_are_scored_under_the_trials_names() -> None:
    scores = APPLICATION.baselines(make_tree())

    assert {"persistence", "ridge"} <= set(scores)
    objective, test = APPLICATION.scores(flat())
    assert all({objective, test} <= set(own) for own in scores.values())


@pytest.mark.parametrize(("loss", "names"), [("mse", "mse"), ("mae", "mae")])
def test_the_objective_is_named_after_the_loss(loss: str, names: str) -> None:
    assert APPLICATION.scores(flat(train__loss=loss)) == (f"val_{names}", f"test_{names}")


def test_more_epochs_and_units_cost_more() -> None:
    cost = APPLICATION.cost.of

    assert cost(flat()).epochs == 2
    assert cost(flat(train__epochs=4)).flop == 2 * cost(flat()).flop
    assert cost(flat(model__hidden_size=50)).flop > cost(flat()).flop


def test_data_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(BadInput, match=r"data\.lookback"):
        APPLICATION.data.of(flat(data__lookback=500))


def test_the_data_s_hash_is_that_of_the_file() -> None:
    assert APPLICATION.data.of(flat()) == APPLICATION.data.of(flat(data__lookback=24))


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"optim__lr": 0.5, "train__seed": 3, "model__dropout": 0.3}, True),
        ({"model__hidden_size": 5}, False),
        ({"data__lookback": 13}, False),
        ({"train__batch_size": 16}, False),
        ({"train__loss": "mae", "train__quantiles": [0.2]}, True),
        ({"train__loss": "quantile"}, False),
        ({"model__pooling": "max"}, False),
    ],
)
def test_trials_of_one_shape_may_share_a_pack(changes: dict[str, Any], same: bool) -> None:
    shape = APPLICATION.shape.of

    assert (shape(flat(**changes)) == shape(flat())) is same


def test_quantiles_share_a_pack_where_there_are_as_many() -> None:
    shape = APPLICATION.shape.of
    own = {"train__loss": "quantile", "train__quantiles": [0.1, 0.5]}

    assert shape(flat(**own)) == shape(flat(**own | {"train__quantiles": [0.2, 0.6]}))
    assert shape(flat(**own)) != shape(flat(**own | {"train__quantiles": [0.5]}))


@pytest.mark.parametrize("facet", ["cost", "data", "shape", "effect"])
def test_a_question_reads_only_the_settings_that_it_names(facet: str) -> None:
    asked = getattr(APPLICATION, facet)
    known = {key: value for key, value in flat().items() if key in asked.keys}

    assert asked.of(known) == asked.of(flat())


def test_every_setting_that_a_question_names_exists() -> None:
    own = (APPLICATION.cost, APPLICATION.data, APPLICATION.shape, APPLICATION.effect)
    facets: list[Facet[Any]] = [*own, *APPLICATION.rules]

    for facet in facets:
        assert set(facet.keys) <= set(schema.ADAPTERS)


def test_the_configurations_are_found() -> None:
    assert (configs() / "config.yaml").is_file()
    assert (configs() / "guide" / "full.yaml").is_file()


@pytest.mark.parametrize(("kind", "longest", "said"), [("text", 59, 1), ("text", 250, 0)])
def test_lengths_that_sentences_do_not_reach_are_said(kind: str, longest: int, said: int) -> None:
    assert APPLICATION.notes is not None

    notes = APPLICATION.notes({"data.kind": kind, "data.longest": longest})

    assert len(notes) == said
    assert all("no sentence has more than 59 words" in note.lower() for note in notes)


@pytest.mark.parametrize(("loss", "name"), [("bce", "error"), ("quantile", "quantile")])
def test_a_classifier_is_ranked_by_what_it_tells_wrong(loss: str, name: str) -> None:
    assert APPLICATION.scores(flat(train__loss=loss)) == (f"val_{name}", f"test_{name}")
