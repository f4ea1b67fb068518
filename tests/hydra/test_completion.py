"""The shell completes our command, by Hydra's own completion."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# What bash does when a person presses Tab behind the line.
PRESS_TAB = """
eval "$(sweep -sc install=bash)"
COMP_LINE=$1 COMP_POINT=${#1}
COMP_WORDS=($1) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
$(complete -p sweep | sed 's/.*-F \\([^ ]*\\).*/\\1/')
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("sweep +experiment=fo", {"+experiment=forecast", "+experiment=forecast_long"}),
        ("sweep -m guide=star", {"guide=start"}),
        ("sweep +experiment=forecast model.num", {"model.num_layers="}),
        ("sweep hydra.launcher.clu", {"hydra.launcher.cluster="}),
    ],
)
def test_tab_offers_what_fits(line: str, offered: set[str]) -> None:
    scripts = Path(sys.executable).parent
    assert (scripts / "sweep").exists()

    answer = subprocess.run(
        ["bash", "-c", PRESS_TAB, "bash", line],
        env={**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )

    assert answer.stderr == ""
    assert set(answer.stdout.split()) >= offered
    assert all(word.startswith(line.split()[-1]) for word in answer.stdout.split())
