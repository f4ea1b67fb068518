from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from report_builders import (
    by_trial,
    completed,
    diverged,
    failed,
    make_board,
    make_results,
    make_trials,
    scored,
)

from sweep.plan.selection import select
from sweep.plan.trial import Trial
from sweep.report.background import Background
from sweep.report.contents import Contents
from sweep.report.export import csv_text
from sweep.report.markdown import markdown as markdown_of
from sweep.report.markdown import note as markdown
from sweep.report.results import Results
from sweep.report.structure import json_text
from sweep.report.summary import summarize

RIDGE = {"ridge": {"val_mse": 0.05, "test_mse": 0.06}}


def small_study() -> Results:
    trials = make_trials({"optim.lr": [1e-4, 1e-3, 1e-2], "optim.name": ["a|b", "sgd"]})
    records = scored(trials[:4], lambda v: {1e-4: 0.1001, 1e-3: 0.101}[v["optim.lr"]])
    records |= by_trial(diverged(4), failed(5))
    return make_results(trials, records, baselines=RIDGE, test={0: 0.25})


def test_the_leaderboard_is_a_markdown_table() -> None:
    lines = markdown(summarize(small_study(), title="forecast-3f2a")).splitlines()

    table = lines[lines.index("### Leaderboard") + 2 :]
    assert table[:4] == [
        "| rank | lr | optim | val_mse | trial | test_mse |",
        "| :--- | ---: | ---: | ---: | ---: | ---: |",
        "| ridge |  |  | 0.0500 |  | 0.0600 |",
        "| **1** | **0.0001** | **a\\|b** | **0.1001** | **0** | **0.2500** |",
    ]


def test_the_note_holds_counts_warnings_reasons_values_and_links() -> None:
    note = markdown(summarize(small_study(), title="s", links=["http://localhost:5000/#/x_y"]))

    assert "6 trials: 4 completed, 1 infeasible and 1 failed." in note
    assert "- ridge (0.0500) beats every configuration" in note
    assert "- 1 failed (trial 5): MemoryError: no memory." in note
    assert "### Best result per value" in note
    assert note.endswith("- http://localhost:5000/#/x_y")


def test_a_note_without_room_drops_the_least_wanted_first() -> None:
    summary = summarize(small_study(), title="s", links=["link"])
    whole = markdown(summary)

    shorter = markdown(summary, limit=len(whole) - 1)
    shortest = markdown(summary, limit=60)

    assert "### Best result per value" not in shorter
    assert "### Warnings" in shorter
    assert shorter.endswith("- link")
    assert len(shortest) <= 60


@pytest.mark.parametrize("settings", [2, 9])
def test_the_note_of_a_large_study_fits_into_an_mlflow_tag(settings: int) -> None:
    names = [f"group.a_setting_with_a_long_name_{i}" for i in range(settings)]
    trials = make_trials({name: [1, 2] for name in names})
    records = scored(trials, lambda v: sum(v.values()))

    note = markdown(summarize(make_results(trials, records), title="s"))

    assert len(note) <= 8000
    assert "### Leaderboard" in note


def test_csv_holds_every_configuration_in_full() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(small_study()))))

    assert [(row["rank"], row["baseline"]) for row in rows] == [
        *((str(rank), "") for rank in (1, 2, 3, 4)),
        ("", "ridge"),
        ("", ""),
        ("", ""),
    ]
    assert rows[0] == {
        "rank": "1",
        "baseline": "",
        "optim.lr": "0.0001",
        "optim.name": "a|b",
        "val_mse": "0.1001",
        "sd": "",
        "seeds": "1",
        "test_mse": "0.25",
        "trials": "0",
        "completed": "1",
        "infeasible": "0",
        "failed": "0",
    }
    assert [row["infeasible"] for row in rows[5:]] == ["1", "0"]


def test_csv_says_where_a_setting_has_no_effect() -> None:
    trials = make_trials({"model.num_layers": [1, 2], "model.dropout": [0.2, 0.3]})
    trials[1] = Trial(1, 0, trials[1].values, same_as=0)
    results = make_results(
        trials, by_trial(completed(0, 0.1), completed(2, 0.2), completed(3, 0.3))
    )

    rows = list(csv.DictReader(io.StringIO(csv_text(results))))

    assert [row["model.dropout"] for row in rows] == ["any", "0.2", "0.3"]


def contents() -> Contents:
    background = Background(study="s-1", command="python -m sweep -m", winner="python -m sweep x=1")
    return Contents(summarize(small_study(), title="study s-1"), background)


def test_the_whole_report_is_markdown_with_the_commands_that_repeat_it() -> None:
    text = markdown_of(contents())

    assert text.startswith("**study s-1**")
    assert "### What matters\n\n- Too few trials" in text
    assert "The winner:\n\n```\npython -m sweep x=1\n```" in text


def test_json_holds_every_configuration_and_what_is_not_finite_is_null() -> None:
    results = small_study()
    records = {**results.records, 4: diverged(4, metrics={"x": float("nan")})}
    wild = Contents(summarize(replace(results, records=records), title="s"), contents().background)

    found = json.loads(json_text(wild))

    assert [item["rank"] for item in found["configurations"]] == [1, 2, 3, 4, None, None]
    assert found["configurations"][0]["values"] == {"optim.lr": 0.0001, "optim.name": "a|b"}
    assert found["counts"] == {"COMPLETED": 4, "INFEASIBLE": 1, "FAILED": 1}
    assert found["warnings"][0]["kind"] == "baseline"
    assert found["repeat"]["winner"] == "python -m sweep x=1"


def test_what_fresh_seeds_confirmed_has_its_score_of_the_search_beside_it() -> None:
    trials = [Trial(i, 0, {"optim.lr": rate}) for i, rate in enumerate((0.1, 0.2, 0.3))]
    chosen = select([(0,), (1,)], seeds=(1, 2, 3, 4, 5), first_number=3)
    records = [completed(i, 0.5 + i / 10) for i in range(3)]
    for item in chosen.candidates:
        for number, seed in zip(item.fresh, chosen.seeds, strict=True):
            values = {"optim.lr": trials[item.screened[0]].values["optim.lr"], "train.seed": seed}
            trials.append(Trial(number, 0, values))
            records.append(completed(number, 0.7))
    kept = by_trial(*records)
    results = Results(board=make_board(trials, kept, selection=chosen), records=kept)

    title, *rows = csv.reader(csv_text(results).splitlines())

    place = title.index("in_search")
    assert [row[place] for row in rows] == ["0.5", "0.6", ""]
    assert {len(row) for row in rows} == {len(title)}
