from __future__ import annotations

import random
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from report_builders import (
    by_trial,
    completed,
    diverged,
    failed,
    make_results,
    make_trials,
    pruned,
    scored,
)

from sweep.plan.story import Begun, Decided, Story
from sweep.plan.trial import Record, Trial
from sweep.report.background import Background
from sweep.report.contents import Contents
from sweep.report.html import html
from sweep.report.results import Results
from sweep.report.summary import summarize

pytest.importorskip("jinja2")

BASELINES = {"ridge": {"val_mse": 0.0795, "test_mse": 0.085}}
GRID = {"optim.lr": [1e-3, 1e-2, 1e-1], "model.hidden_size": [50, 100, 200], "train.seed": [0, 1]}
CURVES = {"train_loss": [0.3, 0.2, 0.1], "val_loss": [0.35, 0.25, 0.2]}
VOID = {"meta", "br", "img", "link", "hr", "input"}


def page(results: Results, **background: Any) -> str:
    given = {"study": "s-1", "created": 1795371242.0, **background}
    return html(Contents(summarize(results, title="study s-1"), Background(**given)))


def full_study() -> Results:
    trials = make_trials(GRID)
    records: list[Record] = []
    for trial in trials:
        lr, hidden = trial.values["optim.lr"], trial.values["model.hidden_size"]
        if lr == 0.1 and hidden == 200:
            records.append(diverged(trial.number, history=CURVES))
        else:
            score = 0.1 + lr + 1 / hidden + trial.values["train.seed"] / 1000
            more = {"history": CURVES, "cpu_seconds": 1.0 + hidden / 100}
            records.append(completed(trial.number, score, **more))
    return make_results(trials, by_trial(*records), baselines=BASELINES, test={0: 0.2, 1: 0.3})


class Balance(HTMLParser):
    """Checks that every element that opens also closes, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.pieces: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [v or "" for k, v in attrs if k in ("href", "src", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [v or "" for k, v in attrs if k in ("href", "src", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)


def parsed(text: str) -> Balance:
    reader = Balance()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def text_of(page: str) -> str:
    return " ".join("".join(parsed(page).pieces).split())


def test_a_full_study_shows_every_section() -> None:
    shown = page(
        full_study(),
        command="python -m sweep +experiment=forecast -m",
        winner="python -m sweep +experiment=forecast optim.lr=0.001",
        facts={"commit": "67daa5b"},
        links=["MLflow:  http://127.0.0.1:5000/#/experiments/1"],
    )

    read = text_of(shown)
    assert "18 trials: 16 completed and 2 infeasible." in read
    assert "Best: lr=0.001 hidden_size=200, val_mse 0.1065 ± 0.0007 over 2 seeds" in read
    assert "ridge (0.0795) beats every configuration" in read
    assert "2 infeasible" in read
    assert "lower the learning rate" in read
    assert "python -m sweep +experiment=forecast optim.lr=0.001" in read
    assert "67daa5b" in read
    assert shown.count("<svg") == 2 + 2 + 1 + 7  # isolation, parallel, cost, 6 best and 1 lost
    assert "http://127.0.0.1:5000/#/experiments/1" in parsed(shown).addresses


def test_nothing_is_loaded_from_anywhere() -> None:
    addresses = parsed(page(full_study())).addresses

    assert [a for a in addresses if not a.startswith("#")] == []


def test_the_same_results_give_the_same_bytes() -> None:
    assert page(full_study()) == page(full_study())


def test_a_study_without_a_completed_trial_says_why() -> None:
    trials = make_trials({"optim.lr": [1.0, 2.0]})

    read = text_of(page(make_results(trials, by_trial(failed(0), diverged(1)))))

    assert "Nothing to rank: no trial completed." in read
    assert "MemoryError: no memory" in read
    assert "No trial recorded its epochs." in read


def test_the_page_tells_the_time_that_results_used() -> None:
    records = [replace(completed(i, 0.5), cpu_seconds=90.0, gpu_seconds=60.0) for i in range(2)]

    read = text_of(page(make_results(make_trials({"a": [1, 2]}), by_trial(*records))))

    assert "CPU time used3 min" in read
    assert "GPU time held2 min" in read


def test_a_study_without_any_record_has_a_page() -> None:
    assert "2 pending" in text_of(page(make_results(make_trials({"a": [1, 2]}), {})))


def test_a_study_of_one_trial_has_a_page() -> None:
    results = make_results([Trial(0, 0, {})], by_trial(completed(0, 0.5, history=CURVES)))

    read = text_of(page(results))

    assert "Best: the one configuration, val_mse 0.5000" in read
    assert "No setting varies." in read


def test_three_trials_are_too_few_to_tell_what_matters() -> None:
    trials = make_trials({"optim.lr": [1e-3, 1e-2, 1e-1]})

    read = text_of(page(make_results(trials, scored(trials, lambda v: v["optim.lr"]))))

    assert "Too few trials: 3 configurations for 1 varied setting, 8 are needed." in read


def test_a_study_in_which_all_diverged_shows_how() -> None:
    trials = make_trials({"optim.lr": [1.0, 2.0]})
    records = by_trial(*(diverged(i, history=CURVES) for i in range(2)))

    shown = page(make_results(trials, records))

    assert shown.count("<svg") == 2
    assert "infeasible: lr=1" in text_of(shown)


def test_names_are_shown_as_they_are_written() -> None:
    nasty = "<script>alert('x')</script> & $\\frac$ %s {{ 1 }}"
    trials = make_trials({f"a.{nasty}": [nasty, "plain"], "optim.lr": [1.0, 2.0]})
    records = {**scored(trials, lambda v: v["optim.lr"]), 3: failed(3, text=nasty)}
    baselines = {nasty: {"val_mse": 0.5}}

    shown = page(make_results(trials, records, baselines=baselines), command=nasty, links=[nasty])

    assert nasty in text_of(shown)
    assert shown.count("<script") == 1  # the page's own


def test_an_address_that_is_no_web_page_is_no_link() -> None:
    shown = page(full_study(), links=["javascript:alert(1)", "file:///etc/passwd"])

    assert all(a.startswith("#") for a in parsed(shown).addresses)
    assert "javascript:alert(1)" in text_of(shown)


def test_values_of_any_kind_can_vary() -> None:
    grid = {
        "a": [None, 1.0],
        "b": [True, False],
        "c": [[1, 2], [3]],
        "d": [0, 1e-4, 1e-3],
        "e": [{"x": 1}, {"x": 2}],
        "f": [-5, 5],
    }
    trials = make_trials(grid)

    shown = page(make_results(trials, scored(trials, lambda v: -float(v["f"] + v["d"]))))

    assert shown.count("<svg") == len(grid) + 2


@pytest.mark.parametrize("score", [0.0, -3.0, 1e-9, 1e12])
def test_equal_scores_of_any_size_can_be_drawn(score: float) -> None:
    trials = make_trials({"optim.lr": [1e-3, 1e-2, 1e-1]})

    shown = page(make_results(trials, scored(trials, lambda _: score)))

    assert shown.count("<svg") == 3


def test_maximizing_says_that_higher_is_better() -> None:
    trials = make_trials({"optim.lr": [1e-3, 1e-2, 1e-1]})
    results = make_results(trials, scored(trials, lambda v: v["optim.lr"]), direction="maximize")

    assert "higher is better" in text_of(page(results))


def test_the_story_of_a_search_stands_with_the_guides_sentences_and_its_evidence() -> None:
    trials = make_trials({"optim.lr": [1e-3, 1e-2]})
    sentence = "Use 0.0001 to 0.01."
    evidence = {"trials": [0, 1], "costs": [0.2, 0.1], "optim.lr": [1e-3, 1e-2]}
    story = Story(
        begun=[Begun(trial.values, (trial.number,)) for trial in trials],
        decisions=[Decided("learning rate", 3, sentence, evidence, "take optim.lr=0.01")],
        ended="the strategy is through",
    )
    results = make_results(trials, scored(trials, lambda v: 1e-3 / v["optim.lr"]))

    read = text_of(page(replace(results, strategy="staged", story=story)))

    assert f"take optim.lr=0.01 “{sentence}” section 3" in read
    assert "lr=0.01 (trial 1) 0.1000" in read
    assert "It ended: the strategy is through." in read


def test_trials_that_were_stopped_at_a_rung_are_shown_as_such_and_not_ranked() -> None:
    trials = make_trials({"optim.lr": [1e-3, 1e-2, 1e-1]})
    records = by_trial(
        completed(0, 0.2, history={"val_loss": [0.9, 0.2]}),
        pruned(1, history={"val_loss": [0.1]}),
        pruned(2, history={"val_loss": [0.5]}),
    )

    shown = page(make_results(trials, records))

    read = text_of(shown)
    assert "Best: lr=0.001, val_mse 0.2000" in read
    assert "2 configurations not ranked: stopped at a rung." in read
    assert "Stopped at a rung Trials that were trained no further" in read
    assert "1 3 2 0.1000 lr=0.01" in read  # epoch, reached, stopped, the best of these


@pytest.mark.slow
def test_ten_thousand_trials_of_a_random_design_fit_into_five_megabytes() -> None:
    draw = random.Random(0)
    trials = [
        Trial(
            number,
            0,
            {
                "optim.lr": 10 ** draw.uniform(-4, -1),
                "model.hidden_size": draw.randrange(50, 500),
                "model.dropout": draw.uniform(0, 0.5),
                "optim.name": draw.choice(["adam", "sgd", "rmsprop"]),
            },
        )
        for number in range(10_000)
    ]
    records = by_trial(
        *(
            diverged(t.number)
            if t.values["optim.lr"] > 0.09
            else completed(
                t.number,
                0.1 + t.values["optim.lr"] + draw.random() / 10,
                history=CURVES,
                cpu_seconds=draw.uniform(1, 50),
            )
            for t in trials
        )
    )

    shown = page(make_results(trials, records))

    assert len(shown.encode()) < 5_000_000
    assert "more configurations ranked below" in text_of(shown)
