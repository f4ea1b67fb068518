"""However a test run ends, it leaves no MLflow server behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from testbed.waiting import until

TESTS = Path(__file__).parents[1]
OWNER = f"""
import sys, time
from pathlib import Path
sys.path[:0] = [{str(TESTS / "cluster")!r}, {str(TESTS / "tracking")!r}]
from running_server import RunningServer
from testbed.bed import open_bed

server = RunningServer(Path(sys.argv[1]), bed=open_bed())
server.start()
print(server.uri, flush=True)
time.sleep(600)
"""


def serving(folder: Path) -> list[psutil.Process]:
    """List the servers whose database lies in a folder."""
    database = f"sqlite:///{folder}/mlflow.db"
    return [
        each
        for each in psutil.process_iter(["cmdline"])
        if {"server", database} <= set(each.info["cmdline"] or ())
    ]


@pytest.mark.slow
def test_a_terminated_test_run_takes_its_server_along(tables: Path, tmp_path: Path) -> None:
    shutil.copyfile(tables, tmp_path / "mlflow.db")
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    assert owner.stdout.readline().startswith("http://")
    owner.stdout.close()
    (server,) = serving(tmp_path)
    all_of_it = [server, *server.children(recursive=True)]

    owner.terminate()
    owner.wait()

    until(lambda: [each for each in all_of_it if each.is_running()], holds=lambda left: not left)
