"""`make cluster-up` starts what outlives its shell, and what a kill of its owner takes with it."""

from __future__ import annotations

import json
import operator
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from kubernetes import client, config
from testbed.waiting import until
from testbed.workloads import make_pod

pytestmark = [
    pytest.mark.kube,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed"),
]

PACKAGES = Path(__file__).parent


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Give an environment whose beds lie in a folder of the test's own."""
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    yield env
    tell("down", env=env)


def tell(verb: str, *, env: dict[str, str]) -> str:
    command = [sys.executable, "-m", "testbed", verb]
    return subprocess.run(
        command, cwd=PACKAGES, env=env, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()


def test_up_stands_until_down(elsewhere: dict[str, str], tmp_path: Path) -> None:
    kubeconfig = Path(tell("up", env=elsewhere))
    core = client.CoreV1Api(config.new_client_from_config(str(kubeconfig)))

    assert len(core.list_node().items) == 6
    assert tell("up", env=elsewhere) == str(kubeconfig)
    assert tell("env", env=elsewhere) == f"export KUBECONFIG={kubeconfig}"
    assert tell("down", env=elsewhere) == "taken down"
    assert not list(tmp_path.iterdir())


def test_a_kill_of_the_owner_ends_cluster_and_pods(
    elsewhere: dict[str, str], tmp_path: Path
) -> None:
    kubeconfig = tell("up", env=elsewhere)
    core = client.CoreV1Api(config.new_client_from_config(kubeconfig))
    core.create_namespaced_pod("default", make_pod(command=["sleep", "600"]))
    until(lambda: core.read_namespaced_pod("pod", "default").status.phase, holds="Running".__eq__)
    (folder,) = tmp_path.glob("sweep-bed-*")
    assert len(processes_of(folder)) >= 7  # control plane, KWOK, player and the pod's

    os.kill(json.loads((folder / "owner.json").read_text())["pid"], signal.SIGKILL)

    until(lambda: [*processes_of(folder), *tmp_path.iterdir()], holds=operator.not_)


def processes_of(folder: Path) -> list[int]:
    return [
        each.pid
        for each in psutil.process_iter(["environ"])
        if (each.info["environ"] or {}).get("SWEEP_BED") == str(folder)
    ]
