from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from report_builders import make_board, make_trials, scored

pytest.importorskip("scipy")

from sweep.report.comparison import (
    Comparison,
    Sheet,
    compare_studies,
    comparison_json,
    comparison_markdown,
)

GRID = {"optim.lr": [1e-3, 1e-2], "train.seed": [0, 1, 2, 3, 4]}
BASE = {"train.epochs": 10, "model.layers": 1, "tracking.uri": "a"}
FACTS = {
    "data": {"jfk": "aaaaaaaaaaaaaaaa"},
    "git": "1234567",
    "versions": {"torch": "2.13"},
    "inputs": {"rows": 1000, "columns": {"temp": {"low": 0.0, "high": 30.0, "missing": 0.01}}},
}


def base_score(values: Mapping[str, Any]) -> float:
    return float(values["optim.lr"] * 10 + values.get("train.seed", 0) / 1000)


def sheet(
    name: str,
    grid: Mapping[str, Any] = GRID,
    *,
    score: Callable[[Mapping[str, Any]], float] = base_score,
    base: Mapping[str, Any] = BASE,
    objective: str = "val_mse",
    **facts: Any,
) -> Sheet:
    trials = make_trials(grid)
    records = scored(trials, score)
    return Sheet(
        name=name,
        board=make_board(trials, records, objective=objective),
        trials=trials,
        bases=[base],
        records=records,
        seed="train.seed",
        facts={**FACTS, **facts},
    )


def changes(found: Comparison) -> list[tuple[str, str, str, str]]:
    return [(c.what, c.name, c.first, c.second) for c in found.changes]


def test_a_study_is_the_same_as_itself() -> None:
    found = compare_studies(sheet("a"), sheet("b", base={**BASE, "tracking.uri": "elsewhere"}))

    assert (found.shared, found.equal, found.changes) == (10, 10, ())
    assert "10 of them with the same score to the last bit" in comparison_markdown(found)
    assert "No difference is known" in comparison_markdown(found)


def test_a_change_for_all_is_named_and_its_effect_is_paired() -> None:
    longer = sheet(
        "b",
        score=lambda v: base_score(v) - 0.005 - v["train.seed"] / 1e4,
        base={**BASE, "train.epochs": 20},
    )

    found = compare_studies(sheet("a"), longer)

    assert changes(found) == [("settings", "train.epochs", "10", "20")]
    assert found.overall is not None
    assert found.overall.high < 0
    assert [row.difference is not None for row in found.rows] == [True, True]
    assert "b is better by 0.0052" in comparison_markdown(found)


def test_what_one_alone_trained_is_not_compared_but_told() -> None:
    wider = sheet("b", {"optim.lr": [1e-2, 1e-1], "train.seed": [3, 4, 5, 6, 7]})

    found = compare_studies(sheet("a"), wider)

    assert found.shared == 2
    assert [row.label for row in found.rows] == ["lr=0.01"]
    assert found.rows[0].difference is None
    assert ("grid", "optim.lr", "0.001, 0.01", "0.01, 0.1") in changes(found)
    assert "unknown: 5 pairs are needed" in comparison_markdown(found)


def test_a_setting_that_varies_in_one_study_is_matched_with_the_constant_of_the_other() -> None:
    layers = sheet("b", {**GRID, "model.layers": [1, 2]})

    found = compare_studies(sheet("a"), layers)

    assert found.shared == 10
    assert {row.label for row in found.rows} == {"lr=0.001 layers=1", "lr=0.01 layers=1"}


def test_data_code_and_versions_that_changed_are_named() -> None:
    later = sheet(
        "b",
        data={"jfk": "bbbbbbbbbbbbbbbb"},
        git="7654321",
        versions={"torch": "2.14"},
        inputs={"rows": 1024, "columns": {"temp": {"low": 0.0, "high": 31.0, "missing": 0.01}}},
    )

    assert changes(compare_studies(sheet("a"), later)) == [
        ("data", "jfk, sha256", "aaaaaaaaaaaa", "bbbbbbbbbbbb"),
        ("data", "rows", "1,000", "1,024"),
        ("data", "temp, range", "0 to 30", "0 to 31"),
        ("code", "commit", "1234567", "7654321"),
        ("versions", "torch", "2.13", "2.14"),
    ]


def test_scores_of_another_kind_are_not_compared() -> None:
    found = compare_studies(sheet("a"), sheet("b", objective="val_mae"))

    assert (found.comparable, found.shared, found.rows) == (False, 0, ())
    assert "not the same number" in comparison_markdown(found)


def test_studies_without_a_common_trial_say_so() -> None:
    found = compare_studies(sheet("a"), sheet("b", {"optim.lr": [1.0, 2.0]}))

    assert "share no trial" in comparison_markdown(found)


def test_json_holds_the_same_numbers() -> None:
    found = comparison_json(compare_studies(sheet("a"), sheet("b")))

    assert found["shared"] == 10
    assert found["rows"][0]["difference"]["mean"] == 0.0
