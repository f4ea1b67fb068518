from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from report_builders import make_results, make_trials, scored

from sweep.report.background import Background
from sweep.report.contents import Contents
from sweep.report.drawing.rolling import error_by_step, scores_by_origin
from sweep.report.html import html
from sweep.report.markdown import markdown
from sweep.report.origins import rolled_table
from sweep.report.rolled import Rolled, read_rolled
from sweep.report.summary import summarize
from sweep.report.telling import rolled_name

FOUND: dict[str, Any] = {
    "trial": 0,
    "metric": "mse",
    "origins": [
        {"known": 6984, "tested": 582, "scores": {"network": 0.08, "ridge": 0.06}},
        {"known": 7566, "tested": 582, "scores": {"network": 0.12, "ridge": 0.1}},
    ],
    "by_step": [0.01 * step for step in range(1, 25)],
}


def rolled(**more: Any) -> Rolled:
    found = read_rolled(json.dumps({**FOUND, **more}).encode())
    assert found is not None
    return found


def contents(of: Rolled) -> Contents:
    trials = make_trials({"optim.lr": [0.1, 0.2]})
    results = replace(make_results(trials, scored(trials, lambda v: v["optim.lr"])), rolled=of)
    return Contents(summarize(results, title="study s-1"), Background(study="s-1", created=0.0))


def test_a_row_an_origin_and_the_mean_last() -> None:
    rows = rolled_table(rolled()).rows

    assert rows[0] == ("6,984", "582", "0.08000", "0.06000")
    assert rows[-1] == ("mean", "", "0.10000", "0.08000")


def test_where_a_network_diverged_there_is_no_mean() -> None:
    nan = {"known": 7, "tested": 5, "scores": {"network": float("nan"), "ridge": 0.1}}

    rows = rolled_table(rolled(origins=[nan, FOUND["origins"][0]])).rows

    assert rows[0][2] == "diverged"
    assert rows[-1][2] == "diverged"


def test_the_report_draws_scores_by_origin_and_error_by_step() -> None:
    pytest.importorskip("jinja2")

    page, text = html(contents(rolled())), markdown(contents(rolled()))

    assert 'aria-label="mse at 2 origins"' in page
    assert 'aria-label="Mean squared error at each of 24 steps ahead"' in page
    assert "The backtest of lr=0.1 (trial 0)" in page
    assert "### As time goes on" in text
    assert "| 6,984 | 582 | 0.08000 | 0.06000 |" in text


def test_a_study_without_a_backtest_has_no_such_section() -> None:
    pytest.importorskip("jinja2")
    without = replace(contents(rolled()).summary.results, rolled=None)
    study = Contents(summarize(without, title="s"), Background(study="s", created=0.0))

    assert "As time goes on" not in html(study)
    assert "As time goes on" not in markdown(study)


def test_a_backtest_of_what_is_not_the_best_any_more_says_so() -> None:
    name = rolled_name(contents(rolled(trial=1)).summary.results)

    assert name == "lr=0.2 (trial 1), which is not the best any more"


def test_points_stand_where_their_values_are() -> None:
    figure = scores_by_origin(rolled())

    assert figure.count("<circle") == 2
    assert ">ridge</text>" in figure
    assert error_by_step(rolled(by_step=[])) == ""
    assert "<path" in error_by_step(rolled(by_step=[0.5]))


def test_where_every_network_diverged_the_baselines_are_drawn_alone() -> None:
    nan = {"known": 7, "tested": 5, "scores": {"network": float("nan"), "ridge": 0.1}}

    figure = scores_by_origin(rolled(origins=[nan, {**nan, "known": 12}], by_step=[]))

    assert "<circle" not in figure
    assert ">ridge</text>" in figure


@pytest.mark.parametrize("body", [b"", b"[]", b'{"metric": "mse"}', b'{"origins": []}'])
def test_what_is_no_backtest_is_none(body: bytes) -> None:
    assert read_rolled(body) is None
