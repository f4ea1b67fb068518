"""Run an MLflow tracking server that hands artifacts on to S3."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from testbed.processes import Process, free_port
from testbed.s3 import Bucket

# They replace MLflow's own; a pod calls it by a Service's name, or by the address of a Link.
ALLOWED_HOSTS = "mlflow,mlflow:*,*.svc:*,*.svc.cluster.local:*,localhost:*,127.0.0.1:*,10.*:*"


@dataclass(frozen=True, slots=True)
class MlflowServer:
    """A running server; `process` has the levers."""

    process: Process
    uri: str
    database: str
    bucket: Bucket


def start_mlflow(
    folder: Path, *, database: str, bucket: Bucket, name: str = "mlflow"
) -> MlflowServer:
    """Start a server with one worker on a free port of 127.0.0.1.

    `database` is an SQLAlchemy address. Clients need no keys: artifacts pass through the server.
    Raises BedError where it does not come up.
    """
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1", "--uvicorn-opts", "--loop uvloop"]
    command += ["--artifacts-destination", f"{bucket.url}/artifacts"]
    command += ["--allowed-hosts", ALLOWED_HOSTS]
    env = {
        **bucket.env,
        "MLFLOW_BACKEND_STORE_URI": database,  # it holds a password, which a command line shows
        "MLFLOW_S3_ENDPOINT_URL": bucket.endpoint,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    process = Process(name, command, folder, env=env, ready=lambda: _healthy(uri), ready_s=120)
    process.start()
    return MlflowServer(process, uri, database, bucket)


def sqlite(folder: Path) -> str:
    """Give the address of a database that needs no server."""
    return f"sqlite:///{folder}/mlflow.db"


def _healthy(uri: str) -> bool:
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
