"""MLflow stands on PostgreSQL and S3, and its clients need neither."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request

import psycopg2
import pytest
from testbed.levers import killed
from testbed.mlflow_server import MlflowServer
from testbed.postgres import Postgres
from testbed.waiting import until

pytestmark = [pytest.mark.stack, pytest.mark.slow]

LOG = """
import json, sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("harness")
with mlflow.start_run() as run:
    mlflow.log_param("lr", 0.1)
    mlflow.log_metrics({"loss": 0.5})
    mlflow.log_text("what was learned", "notes/text.txt")
read = mlflow.artifacts.load_text(run.info.artifact_uri + "/notes/text.txt")
print(json.dumps({"id": run.info.run_id, "read": read, "uri": run.info.artifact_uri}))
"""


def client_env() -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return env | {"MLFLOW_DISABLE_TELEMETRY": "true"}


def log_a_run(server: MlflowServer) -> dict[str, str]:
    """Log as a machine does that has no keys."""
    done = subprocess.run(
        [sys.executable, "-c", LOG, server.uri],
        capture_output=True,
        text=True,
        env=client_env(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    logged: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return logged


def status(server: MlflowServer, *, host: str = "") -> int:
    request = urllib.request.Request(
        f"{server.uri}/api/2.0/mlflow/experiments/search?max_results=1"
    )
    if host:
        request.add_header("Host", host)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            code: int = answer.status
            return code
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_a_client_without_keys_logs_through_the_server(
    mlflow_stack: MlflowServer, postgres: Postgres
) -> None:
    logged = log_a_run(mlflow_stack)

    bucket = mlflow_stack.bucket
    listed = bucket.client().list_objects_v2(Bucket=bucket.name)
    connection = postgres.connect()
    with connection.cursor() as cursor:
        cursor.execute("select key, value from metrics where run_uuid = %s", (logged["id"],))
        metrics = cursor.fetchall()
    connection.close()
    assert logged["read"] == "what was learned"
    assert logged["uri"].startswith("mlflow-artifacts:/")
    assert any(found["Key"].endswith("notes/text.txt") for found in listed["Contents"])
    assert metrics == [("loss", 0.5)]


@pytest.mark.parametrize(
    "host", ["mlflow:5000", "mlflow.lab.svc.cluster.local:5000", "10.7.0.1:80"]
)
def test_a_pod_may_call_it_by_its_service(mlflow_stack: MlflowServer, host: str) -> None:
    assert status(mlflow_stack, host=host) == 200


def test_another_site_may_not(mlflow_stack: MlflowServer) -> None:
    assert status(mlflow_stack, host="attacker.example") == 403


def test_its_database_is_killed_and_comes_back(
    mlflow_stack: MlflowServer, postgres: Postgres
) -> None:
    before = log_a_run(mlflow_stack)["id"]

    with killed(postgres.process):
        with pytest.raises(psycopg2.OperationalError):
            postgres.connect()
        without = status(mlflow_stack)

    # A pooled connection may have to fail once before it is replaced.
    after = until(lambda: status(mlflow_stack), holds=lambda code: code == 200)
    again = log_a_run(mlflow_stack)["id"]
    assert without >= 500
    assert after == 200
    assert again != before


def test_the_server_is_restarted_and_knows_its_runs(mlflow_stack: MlflowServer) -> None:
    logged = log_a_run(mlflow_stack)["id"]

    with killed(mlflow_stack.process):
        pass

    address = f"{mlflow_stack.uri}/api/2.0/mlflow/runs/get?run_id={logged}"
    with urllib.request.urlopen(address, timeout=20) as answer:
        assert json.load(answer)["run"]["info"]["status"] == "FINISHED"
