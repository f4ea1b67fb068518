from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.cli import run_verb
from sweep.plan import layout
from sweep.plan.packing import Pack
from sweep.plan.records import to_line
from sweep.plan.round import Base, Round, Study
from sweep.plan.trial import Record, State, Trial
from sweep.store import Store, open_store
from sweep.study.opening import add_round, open_study

pytest.importorskip("jinja2")
RATES = (0.001, 0.01, 0.1)


def make_study(folder: Path) -> Store:
    """Write a study of three trials, all completed, as a conductor and a worker would."""
    study = Study(
        name="s-1",
        created=1795371242.0,
        task="sweep.app:train",
        job="s",
        objective="val_mse",
        test="test_mse",
        overrides=("+experiment=forecast", "optim.lr=0.001,0.01,0.1"),
        grid={"optim.lr": list(RATES)},
        facts={"git": "67daa5b+", "data": {"jfk": "32a5"}, "versions": {"torch": "2.13.0"}},
    )
    place = open_study(open_store(str(folder)), study)
    trials = [Trial(number, 0, {"optim.lr": rate}) for number, rate in enumerate(RATES)]
    base = Base(("+experiment=forecast",), {"optim": {"lr": 0.001}})
    add_round(place, Round(number=1, bases=[base], trials=trials, packs=[Pack(0, (0, 1, 2))]))
    records = [Record(trial.number, State.COMPLETED, 0.1 + trial.number) for trial in trials]
    place.write(layout.results_key(0, 1), b"".join(map(to_line, records)))
    return place


def test_the_report_lands_in_the_store_and_its_place_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = make_study(tmp_path)

    code = run_verb(["report", "s-1", "--store", str(tmp_path), "--json"])

    written = json.loads(capsys.readouterr().out)
    page = Path(written["report"]).read_text()
    assert code == 0
    assert place.read(layout.REPORT).decode() == page
    assert Path(written["leaderboard"]).read_text().startswith("rank,baseline,optim.lr,val_mse")
    assert "Best: lr=0.001, val_mse 0.1000." in page
    assert "python -m sweep +experiment=forecast optim.lr=0.001\n" in page.replace("</code>", "\n")
    assert "67daa5b with changes that were not committed" in page


def test_a_report_into_a_file_leaves_the_store_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = make_study(tmp_path / "store")
    file = tmp_path / "mine.html"

    code = run_verb(["report", "s-1", "--store", str(tmp_path / "store"), "--output", str(file)])

    assert code == 0
    assert capsys.readouterr().out == f"{file}\n"
    assert "study s-1" in file.read_text()
    assert layout.REPORT not in place.sizes("report/")


def test_a_file_that_cannot_be_written_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_study(tmp_path / "store")
    file = tmp_path / "nowhere" / "mine.html"

    code = run_verb(["report", "s-1", "--store", str(tmp_path / "store"), "--output", str(file)])

    assert code == 2
    assert capsys.readouterr().err.startswith(f"sweep: --output {file}: No such file")


def test_each_format_can_be_printed_and_the_store_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = make_study(tmp_path)
    begins = {"html": "<!DOCTYPE html>", "md": "**study s-1**", "json": "{", "csv": "rank,baseline"}

    for form, beginning in begins.items():
        code = run_verb(["report", "s-1", "--store", str(tmp_path), "--format", form])

        assert code == 0
        assert capsys.readouterr().out.startswith(beginning)
    assert place.sizes("report/") == {}


def test_a_format_can_go_into_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_study(tmp_path / "store")
    file = tmp_path / "mine.json"
    words = ["report", "s-1", "--store", str(tmp_path / "store")]

    code = run_verb([*words, "--format", "json", "--output", str(file)])

    assert code == 0
    assert json.loads(file.read_text())["configurations"][0]["values"] == {"optim.lr": 0.001}


def test_a_format_that_does_not_exist_is_refused_with_what_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_study(tmp_path)

    code = run_verb(["report", "s-1", "--store", str(tmp_path), "--format", "pdf"])

    assert code == 2
    assert "--format" in (told := capsys.readouterr().err)
    assert "html" in told


def test_what_was_trained_with_other_versions_is_told_with_the_hash_of_the_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = make_study(tmp_path)
    old = Record(0, State.COMPLETED, 0.1, versions={"torch": "2.12.0"})
    place.write(layout.results_key(0, 1), to_line(old))

    run_verb(["report", "s-1", "--store", str(tmp_path), "--format", "json"])

    facts = json.loads(capsys.readouterr().out)["facts"]
    plan = json.loads(place.read(layout.STUDY))["hash"]
    assert facts["trained elsewhere"] == "1 with torch 2.12.0"
    assert facts["plan"] == f"study.json, sha256 {plan}"


def test_trials_that_no_first_batch_knew_were_chosen_by_another_sweeper(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = make_study(tmp_path)
    words = ["report", "s-1", "--store", str(tmp_path), "--format", "json"]

    run_verb(words)
    grid = json.loads(capsys.readouterr().out)
    later = Trial(3, 0, {"optim.lr": 0.05})
    base = Base(("+experiment=forecast",), {"optim": {"lr": 0.001}})
    add_round(place, Round(number=2, bases=[base], trials=[later], packs=[Pack(1, (3,))]))
    run_verb(words)
    asked_again = json.loads(capsys.readouterr().out)

    assert grid["strategy"] == "grid"
    assert asked_again["strategy"] == "another sweeper"


@pytest.mark.slow
def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    make_study(tmp_path)
    words = ["-m", "sweep", "report", "s-1", "--store", str(tmp_path), "--format", "html"]

    with subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as command:
        assert command.stdout is not None
        command.stdout.close()
        assert command.stderr is not None
        told = command.stderr.read()

    assert (command.returncode, told) == (0, b"")
