from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from report_builders import make_board, make_trials, scored

from sweep.report.boundary import Edge, edges


def edges_of(key: str, values: Sequence[Any], best: Any) -> list[Edge]:
    """The edges of a study over one setting in which `best` won."""
    trials = make_trials({key: values})
    return edges(make_board(trials, scored(trials, lambda own: float(own[key] != best))))


def test_the_highest_value_is_an_edge_and_the_guide_may_go_on() -> None:
    (edge,) = edges_of("model.hidden_size", [50, 100, 200], best=200)

    assert (edge.side, edge.low, edge.high, edge.tried) == ("highest", 50, 200, 3)
    assert (edge.goes_on, edge.guide, edge.beyond) == (True, 500, 300)


def test_the_guides_range_may_end_where_the_best_lies() -> None:
    (edge,) = edges_of("optim.lr", [1e-4, 1e-3, 1e-2], best=1e-2)

    assert (edge.side, edge.goes_on, edge.guide) == ("highest", False, 1e-2)
    assert edge.beyond == 0.03


def test_the_lowest_value_is_an_edge_too() -> None:
    (edge,) = edges_of("data.lookback", [50, 100, 200], best=50)

    assert (edge.side, edge.goes_on, edge.guide, edge.beyond) == ("lowest", True, 10, 25)


def test_layers_go_on_without_an_end() -> None:
    (edge,) = edges_of("model.num_layers", [1, 2, 3], best=3)

    assert (edge.goes_on, edge.guide, edge.beyond) == (True, None, 4)


def test_a_share_never_goes_beyond_one() -> None:
    (edge,) = edges_of("model.dropout", [0.1, 0.5, 0.9], best=0.9)

    assert edge.beyond == 0.95


def test_a_value_in_the_middle_is_no_edge() -> None:
    assert edges_of("optim.lr", [1e-4, 1e-3, 1e-2], best=1e-3) == []
    assert edges_of("optim.weight_decay", [0, 1e-4, 1e-3], best=1e-4) == []


def test_learning_rates_are_compared_on_a_log_scale() -> None:
    values = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]

    assert edges_of("optim.lr", values, best=1e-4) == []


def test_near_the_edge_of_a_dense_design_is_at_the_edge() -> None:
    dense = [1e-4 * 10 ** (step / 50) for step in range(101)]

    assert [edge.side for edge in edges_of("optim.lr", dense, best=dense[98])] == ["highest"]
    assert edges_of("optim.lr", dense, best=dense[90]) == []


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("model.num_layers", [1, 2, 3]),
        ("model.dropout", [0.0, 0.2, 0.5]),
        ("optim.weight_decay", [0, 1e-4, 1e-3]),
    ],
)
def test_one_layer_and_nothing_at_all_are_natural_ends(key: str, values: list[float]) -> None:
    assert edges_of(key, values, best=values[0]) == []


@pytest.mark.parametrize(
    ("key", "values"),
    [("optim.lr", [1e-3, 1e-2]), ("optim.name", ["adam", "rmsprop", "sgd"])],
)
def test_two_values_and_names_have_no_edges_worth_a_word(key: str, values: list[Any]) -> None:
    assert edges_of(key, values, best=values[-1]) == []


def test_nothing_that_completed_means_no_edges() -> None:
    assert edges(make_board(make_trials({"optim.lr": [1e-4, 1e-3, 1e-2]}), {})) == []


@pytest.mark.parametrize(("layers", "warned"), [(1, []), (2, ["model.dropout"])])
def test_dropout_between_layers_has_an_edge_where_there_is_a_between(
    layers: int, warned: list[str]
) -> None:
    trials = make_trials({"model.num_layers": [1, 2], "model.dropout": [0.1, 0.3, 0.5]})
    best = {"model.num_layers": layers, "model.dropout": 0.5}

    board = make_board(trials, scored(trials, lambda own: float(own != best)))

    assert [edge.key for edge in edges(board)] == warned
