"""The workflows call what exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sweep.cli import cli

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_every_command_is_one_that_there_is(file: Path) -> None:
    scripts = "\n".join(step.get("run", "") for step in steps(file))
    verbs = set(re.findall(r"python -m sweep ([a-z]+)", scripts))
    targets = set(re.findall(r"\bmake ([a-z-]+)", scripts))

    assert verbs <= {each.name or each.callback.__name__ for each in cli.registered_commands}  # type: ignore[union-attr]
    assert targets <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_what_others_may_write_reaches_no_script_unquoted(file: Path) -> None:
    # An expression is pasted into a script before a shell reads it; a variable is not.
    assert [step for step in steps(file) if "${{" in step.get("run", "")] == []


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_may_write_nothing_and_has_an_end(file: Path) -> None:
    body = read(file)

    assert body["permissions"].items() <= {"contents": "read", "id-token": "write"}.items()
    assert all("timeout-minutes" in job for job in body["jobs"].values())


def read(file: Path) -> dict[str, Any]:
    body: dict[str, Any] = yaml.safe_load(file.read_text())
    return body


def steps(file: Path) -> list[dict[str, Any]]:
    return [step for job in read(file)["jobs"].values() for step in job["steps"]]
