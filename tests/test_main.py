"""The command's door: help, verbs, and what it takes to open it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from sweep.__main__ import VERBS, flags_last, help_text, unknown_verb
from sweep.cli import cli

HEAVY = ["hydra", "torch", "mlflow", "kubernetes", "numpy", "omegaconf", "pydantic", "rich"]


def python(program: str, *words: str) -> str:
    answer = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    return answer.stdout


def loaded_by(statement: str, names: list[str]) -> list[str]:
    """Name the modules of `names` that a statement loads, in a process of its own."""
    return python(
        f"import sys\n{statement}\nprint(*sorted(set({names}) & set(sys.modules)))"
    ).split()


def test_help_is_ours_and_loads_nothing_heavy() -> None:
    statement = """
import runpy
sys.argv = ["sweep", "--help"]
try:
    runpy.run_module("sweep", run_name="__main__")
except SystemExit as left:
    assert left.code == 0, left.code
"""
    *lines, last = python(
        f"import sys\n{statement}\nprint('loaded', *sorted(set({HEAVY}) & set(sys.modules)))"
    ).splitlines()

    assert last == "loaded"
    assert "\n".join(lines).strip() == help_text().strip()


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_names_the_main_job_and_every_verb(flag: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "sweep", flag], capture_output=True, text=True, check=True
    )

    assert "python -m sweep +experiment=forecast -m" in answer.stdout
    for verb in VERBS:
        assert f"    {verb} " in answer.stdout


def test_without_a_word_help_is_shown_and_the_code_is_2() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "sweep"], capture_output=True, text=True, check=False
    )

    assert answer.returncode == 2
    assert "python -m sweep VERB" in answer.stdout


def test_the_verbs_of_the_help_are_those_of_the_command() -> None:
    commands = {
        command.callback.__name__ for command in cli.registered_commands if command.callback
    }

    assert commands == set(VERBS)


@pytest.mark.parametrize("module", ["sweep.launcher", "sweep.sweeper", "sweep.plan.round"])
def test_a_hydra_application_pays_for_no_training_library(module: str) -> None:
    heavy = ["torch", "kubernetes", "mlflow", "numpy", "pandas", "boto3", "optuna"]

    assert loaded_by(f"import {module}", heavy) == []


def test_the_plan_room_loads_the_standard_library_alone() -> None:
    assert loaded_by("import sweep.plan.round, sweep.plan.records, sweep.plan.facets", HEAVY) == []


@pytest.mark.parametrize(
    ("words", "ordered"),
    [
        ("+experiment=forecast -m optim.lr=1,2", "+experiment=forecast optim.lr=1,2 -m"),
        ("a=1 --multirun b=2", "a=1 b=2 --multirun"),
        ("a=1 -m b=2 -m c=3", "a=1 b=2 c=3 -m"),
    ],
)
def test_a_flag_amid_overrides_is_read_as_if_it_stood_behind_them(words: str, ordered: str) -> None:
    assert flags_last(words.split()) == ordered.split()


@pytest.mark.parametrize("words", ["a=1 b=2 -m", "-m a=1 b=2", "a=1", "a=1 --cfg job"])
def test_other_words_stay_as_they_are(words: str) -> None:
    assert flags_last(words.split()) is None


@pytest.mark.parametrize("word", ["a=1", "+a=1", "~a", "--cfg", "-m", "guide=full"])
def test_what_hydra_reads_is_no_verb(word: str) -> None:
    assert unknown_verb([word]) is None


def test_a_word_that_is_neither_names_the_nearest_verb() -> None:
    assert unknown_verb(["resum"]) == "verb 'resum' does not exist; did you mean resume?"


def test_overrides_on_both_sides_of_the_flag_are_told_in_one_line() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "sweep", "+experiment=forecast", "-m", "model.dropout=1"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert answer.returncode == 2
    first, second = answer.stderr.splitlines()
    assert first.endswith("read as: +experiment=forecast model.dropout=1 -m")
    assert second.startswith("sweep: model.dropout=1: ")


@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.5])
def test_ctrl_c_is_answered_by_one_line_whenever_it_comes(tmp_path: Path, after_s: float) -> None:
    words = ["data=jfk", "guide=none", "train.seed=1,2", "hydra.launcher.cluster=local"]
    client = subprocess.Popen(
        [sys.executable, "-m", "sweep", *words, f"hydra.launcher.store={tmp_path}/store", "-m"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not psutil.Process(client.pid).children():  # the workers' parent, of a client that began
        assert client.poll() is None
        time.sleep(0.005)
    time.sleep(after_s)

    client.send_signal(signal.SIGINT)

    _, told = client.communicate(timeout=60)
    assert client.returncode in (130, -signal.SIGINT)  # of both a shell makes 130
    (line,) = told.splitlines()
    assert line.startswith("sweep: interrupted")


def test_ctrl_c_is_not_for_a_client_that_was_started_to_ignore_it() -> None:
    statement = "interrupt.remember(); os.kill(os.getpid(), signal.SIGINT); print(interrupt.came())"
    program = f"import os, signal; from sweep import interrupt; {statement}"
    answer = subprocess.run(
        ["/bin/sh", "-c", 'trap "" INT; exec "$0" -c "$1"', sys.executable, program],
        capture_output=True,
        text=True,
        check=True,
    )

    assert answer.stdout.strip() == "False"
