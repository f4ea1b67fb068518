"""Run a real MLflow server that can be stopped and started again."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from pathlib import Path

from testbed.bed import Bed
from testbed.processes import Process, free_port

START_S = 90.0
QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


class RunningServer:
    """A server with one worker on sqlite; it ends with its bed, however the tests end."""

    def __init__(self, folder: Path, *, bed: Bed) -> None:
        self.folder = folder
        port = free_port()
        self.uri = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
        command += ["--port", str(port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
        command += ["--artifacts-destination", str(folder / "artifacts")]
        name = f"tracking-{port}"
        self._process = Process(
            name, command, bed.folder, env=QUIET, ready=self._healthy, ready_s=START_S
        )

    def start(self) -> None:
        self._process.start()

    def stop(self) -> None:
        """Kill the server and its workers."""
        if self._process.alive:
            self._process.kill()

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
