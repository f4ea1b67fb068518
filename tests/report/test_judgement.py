from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from sweep.report.baselines import Baseline
from sweep.report.judgement import Judgement, as_json, from_json, junit, markdown, message, unjudged
from sweep.report.verdict import Check, Verdict

WORSE = Check(
    name="tonight's winner against version 3 of jfk",
    verdict=Verdict.REGRESSION,
    text="tonight's winner is worse than version 3 of jfk by 0.0200",
    winner=0.12,
    champion=0.1,
    worse=0.02,
    low=0.015,
    high=0.025,
    pairs=5,
)


def make_judgement(**changes: Any) -> Judgement:
    given: dict[str, Any] = {
        "study": "nightly-2",
        "job": "forecast",
        "verdict": Verdict.REGRESSION,
        "text": "Tonight's winner is worse than version 3 of jfk by 0.0200.",
        "objective": "val_mse",
        "direction": "minimize",
        "min_effect": 0.001,
        "seeds": [7, 8, 9, 10, 11],
        "checks": [WORSE],
        "again": None,
        "winner": {"study": "nightly-2", "trial": 4, "scores": [[7, 0.12]]},
        "champion": None,
        "baselines": [Baseline("ridge", 0.11), Baseline("persistence", 0.2)],
        "inputs": {"rows": 10, "columns": {}},
        "drift": ["10 rows, 0 columns"],
        "looks": ["temp is gone"],
        "notes": [],
    }
    return Judgement(**given | changes)


def test_a_judgement_is_read_back_as_written() -> None:
    judgement = make_judgement(again=WORSE)

    assert from_json(json.loads(json.dumps(as_json(judgement)))) == judgement


@pytest.mark.parametrize("body", [{}, {"format": 9}, {"format": 1, "study": "s"}])
def test_what_is_no_judgement_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"judgement|format"):
        from_json(body)


def test_only_a_regression_has_an_exit_code_of_its_own() -> None:
    codes = [make_judgement(verdict=verdict).exit_code for verdict in Verdict]

    assert codes == [0, 0, 0, 4]


def test_the_summary_shows_verdict_numbers_baselines_and_drift() -> None:
    text = markdown(make_judgement())

    assert text.startswith("## Regression: nightly-2\n\nTonight's winner is worse")
    assert (
        "| tonight's winner against version 3 of jfk | 0.1200 | 0.1000 | 0.0200 | 0.0150, 0.0250 "
        "| regression |" in text
    )
    assert "Differences up to 0.001 are nobody's concern." in text
    assert "- ridge 0.1100: not beaten\n- persistence 0.2000: beaten" in text
    assert "### Worth a look in the inputs\n\n- temp is gone" in text


def test_a_regression_is_a_failed_test_case_of_junit() -> None:
    suite = ET.fromstring(junit(make_judgement()).partition("\n")[2])

    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    (failure,) = suite.iter("failure")
    assert failure.get("message") == WORSE.text


def test_a_night_on_which_all_diverged_fails_without_a_comparison() -> None:
    nothing = make_judgement(checks=[], text="Every trial of tonight diverged.", winner={})

    suite = ET.fromstring(junit(nothing).partition("\n")[2])

    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    assert "Every trial of tonight diverged." in markdown(nothing)


def test_what_could_not_be_judged_is_an_error_of_junit_and_no_failure() -> None:
    texts = unjudged("nightly-2", kind="Unreachable", why="the store <x> is away & gone")

    suite = ET.fromstring(texts["junit.xml"].partition("\n")[2])
    assert [suite.get(name) for name in ("tests", "failures", "errors")] == ["1", "0", "1"]
    (error,) = suite.iter("error")
    assert (error.get("type"), error.text) == ("Unreachable", "the store <x> is away & gone")
    assert texts["gate.md"] == "## Not judged: nightly-2\n\nthe store <x> is away & gone\n"


def test_a_webhook_gets_what_slack_draws() -> None:
    body = message(make_judgement())

    assert body["text"].startswith("Regression: nightly-2. Tonight's winner")
    assert [block["type"] for block in body["blocks"]] == ["header", "section"]
    assert "temp is gone" in body["blocks"][1]["text"]["text"]
