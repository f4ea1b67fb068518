"""The chart beside parts that are somewhere else, and as a newcomer installs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from clients import Place
from conftest import KEYS
from installed import RELEASE, Installed, installed, namespace_on
from kubernetes.client import ApiClient
from mlflow import MlflowClient
from testbed.bed import Bed
from testbed.control import ControlPlane
from testbed.helm import programs
from testbed.levers import Link
from testbed.mlflow_server import MlflowServer
from testbed.postgres import Postgres
from testbed.real_fixtures import Trainer
from testbed.s3 import Bucket

pytestmark = [
    pytest.mark.node,
    pytest.mark.stack,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]


def test_store_and_database_may_be_elsewhere(
    stack_node: Trainer,
    control_plane: ControlPlane,
    api_client: ApiClient,
    bed: Bed,
    bucket: Bucket,
    postgres: Postgres,
    tmp_path: Path,
) -> None:
    with (
        Link(bucket.endpoint, address=bed.address) as s3,
        Link(f"127.0.0.1:{postgres.port}", address=bed.address) as database,
        namespace_on(stack_node, api_client) as pods,
    ):
        there = f"{database.address}:{database.port}/postgres"
        uri = f"postgresql+psycopg2://sweep:{postgres.password}@{there}"
        keys = {name: bucket.env[name] for name in KEYS}
        for name, data in {"theirs": keys, "database": {"uri": uri}}.items():
            body = {"metadata": {"name": name}, "stringData": data}
            pods.core.create_namespaced_secret(pods.namespace, body)
        changes = {
            "minio": {"enabled": False},
            "postgres": {"enabled": False},
            "store": {
                "url": f"{bucket.url}/studies",
                "secret": "theirs",
                "endpoint": {"pods": s3.url},
            },
            "mlflow": {
                "database": {"secret": "database"},
                "artifacts": {"url": f"{bucket.url}/mlflow"},
            },
        }
        with installed(
            stack_node, control_plane, pods, programs(), tmp_path, changes=changes
        ) as release:
            told = release.helm_test()
            release.helm("uninstall", RELEASE, "--wait", "--timeout", "4m")

    assert "Succeeded" in told
    kept = bucket.client().list_objects_v2(Bucket=bucket.name, Prefix="mlflow/")
    assert kept["KeyCount"] > 0, "MLflow keeps the winner's model there"


def test_mlflow_may_be_elsewhere(
    stack_node: Trainer,
    control_plane: ControlPlane,
    api_client: ApiClient,
    bed: Bed,
    mlflow_stack: MlflowServer,
    tmp_path: Path,
) -> None:
    with (
        Link(mlflow_stack.uri, address=bed.address) as theirs,
        namespace_on(stack_node, api_client) as pods,
    ):
        changes = {
            "mlflow": {"enabled": False},
            "postgres": {"enabled": False},
            "tracking": {"pods": theirs.url},
        }
        with installed(
            stack_node, control_plane, pods, programs(), tmp_path, changes=changes
        ) as release:
            told = release.helm_test()
            study = f"t-{pods.read('sweep-test').metadata.uid}"
            parts = {pod.spec.containers[0].name for pod in release.stack()}

    assert "Succeeded" in told
    assert parts == {"minio"}
    client = MlflowClient(mlflow_stack.uri)
    (experiment,) = client.search_experiments(filter_string="name = 'forecast'")
    own = f"tags.`sweep.study` = '{study}'"  # other tests' studies are on this server too
    runs = client.search_runs([experiment.experiment_id], own)
    assert sorted(run.data.tags["sweep.role"] for run in runs) == ["study", "trial", "trial"]
    assert {run.info.status for run in runs} == {"FINISHED"}


@pytest.fixture(scope="module")
def newcomer(
    client_node: Trainer,
    control_plane: ControlPlane,
    api_client: ApiClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installed]:
    """Install with the client's image alone, and have MLflow ask for a password."""
    folder = tmp_path_factory.mktemp("newcomer")
    changes = {"mlflow": {"auth": {"enabled": True}}}
    with ExitStack() as stack:
        pods = stack.enter_context(namespace_on(client_node, api_client))
        place = (client_node, control_plane, pods, programs(), folder, changes)
        yield stack.enter_context(installed(*place, client_image=client_node.image))


def test_the_client_s_image_serves_submits_and_trains(newcomer: Installed) -> None:
    told = newcomer.helm_test()

    assert "Succeeded" in told
    assert "2 trials: 2 completed" in newcomer.pods.logs("sweep-test")
    images = {pod.spec.containers[0].name: pod.spec.containers[0].image for pod in newcomer.stack()}
    assert images["mlflow"] == newcomer.pods.read("sweep-test").spec.containers[0].image
    with newcomer.mlflow() as uri, pytest.MonkeyPatch.context() as patch:
        for name, value in password(newcomer).items():
            patch.setenv(name, value)
        client = MlflowClient(uri)
        (experiment,) = client.search_experiments(filter_string="name = 'forecast'")
        assert len(client.search_runs([experiment.experiment_id])) == 3, "pods have the password"


def test_a_client_without_the_password_is_told_what_is_missing(
    newcomer: Installed, tmp_path: Path
) -> None:
    keys = {
        name: value for name, value in newcomer.person().items() if not name.startswith("MLFLOW")
    }
    with_it, without = Place(tmp_path, newcomer.person()), Place(tmp_path, keys)
    wrong = Place(tmp_path, {**newcomer.person(), "MLFLOW_TRACKING_PASSWORD": "guessed"})
    study = "t-" + newcomer.pods.read("sweep-test").metadata.uid

    refused, guessed, taken = (who.verb("publish", study) for who in (without, wrong, with_it))

    assert (refused.code, guessed.code, taken.code) == (3, 3, 0), taken.out + taken.err
    assert "it asks for a password: set MLFLOW_TRACKING_USERNAME and" in refused.out
    assert "it does not let user admin in" in guessed.out
    assert "Traceback" not in refused.err + guessed.err


def password(release: Installed) -> dict[str, str]:
    kept = release.secrets()["sweep-store"]
    return {name: value for name, value in kept.items() if name.startswith("MLFLOW_TRACKING_")}
