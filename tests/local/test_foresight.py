"""Workers are begun before Hydra is imported only where they will be needed, and end unneeded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cluster_ground import wait_until

from sweep.cluster import parent as parents
from sweep.cluster.parent import begin_ahead, end_ahead, take
from sweep.foresight import will_run_here


@pytest.mark.parametrize(
    ("words", "clusters", "here"),
    [
        ("+experiment=forecast -m", False, True),
        ("--multirun optim.lr=.1,.2", False, True),
        ("+experiment=forecast", False, False),
        ("+experiment=forecast -m", True, False),
        ("+experiment=forecast -m hydra.launcher.cluster=local", True, True),
        ("+experiment=forecast -m ++hydra.launcher.cluster=local", True, True),
        ("-m hydra.launcher.cluster=local hydra.launcher.cluster=kubernetes", True, False),
        ("-m hydra.launcher.cluster=kubernetes", False, False),
        ("-m hydra.launcher.cluster=auto", False, False),
        ("-m hydra.launcher.dry=true", False, False),
        ("-m hydra.launcher.code=bundle", False, False),
        ("-m hydra/launcher=basic", False, False),
        ("-m --cfg job", False, False),
        ("-m --help", False, False),
    ],
)
def test_the_words_say_whether_trials_are_trained_here(
    words: str, clusters: bool, here: bool
) -> None:
    assert will_run_here(words.split(), clusters=clusters) is here


def test_what_was_begun_is_taken_once() -> None:
    begin_ahead("json:dumps")
    taken = take("json:dumps")
    another = take("json:dumps")
    try:
        assert taken.process.pid != another.process.pid
        assert taken.alive
        assert another.alive
    finally:
        taken.close()
        another.close()


def test_what_was_begun_for_another_task_ends() -> None:
    begin_ahead("json:loads")
    (begun,) = parents._ahead.values()

    taken = take("json:dumps")
    taken.close()

    assert begun.process.poll() is not None


def test_what_nobody_took_ends() -> None:
    begin_ahead("json:dumps")
    (begun,) = parents._ahead.values()

    end_ahead()

    assert begun.process.poll() is not None


WAYS = ["sys.exit(2)", "raise KeyboardInterrupt", "os.kill(os.getpid(), 9)"]
LEAVES = """
import os, sys
from sweep.cluster import parent
parent.begin_ahead("time:sleep")
print([each.process.pid for each in parent._ahead.values()][0], flush=True)
{way}
"""


@pytest.mark.parametrize("way", WAYS)
def test_it_does_not_outlive_its_client(way: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", LEAVES.format(way=way)]
    done = subprocess.run(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    pid = int(done.stdout)

    wait_until(lambda: not _command_of(pid))


def _command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


@pytest.mark.parametrize(
    ("words", "code"), [("data=nowhere -m", 2), ("hydra.sweeper.nothing=1 -m", 2)]
)
def test_a_refused_multirun_leaves_no_worker(words: str, code: int, tmp_path: Path) -> None:
    env = {**os.environ, "HOME": str(tmp_path), "SWEEP_TEST_MARK": str(tmp_path)}
    env.pop("KUBECONFIG", None)
    done = subprocess.run(
        [sys.executable, "-m", "sweep", *words.split()],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    mark = f"SWEEP_TEST_MARK={tmp_path}".encode()
    wait_until(lambda: not _marked(mark))


def _marked(mark: bytes) -> list[str]:
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (place / "environ").read_bytes():
                found.append(place.name)
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
    return found
