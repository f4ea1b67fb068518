"""The chart on a real node: its stack in pods, sweeps from inside and outside, a night, an upgrade.

The tests use one release, in the order in which they stand here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clients import Ended, Place, finish, wait_until
from conftest import KEYS
from installed import CHART, OURS, RELEASE, TINY, Installed, installed, namespace_on
from kubernetes.client import ApiClient
from testbed.bed import Bed
from testbed.control import ControlPlane
from testbed.errors import BedError
from testbed.helm import programs
from testbed.levers import Link
from testbed.pods import conditions
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

NIGHT = "night-1"


@pytest.fixture(scope="module")
def release(
    stack_node: Trainer,
    control_plane: ControlPlane,
    api_client: ApiClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installed]:
    """Install the chart once for all tests here."""
    folder = tmp_path_factory.mktemp("chart")
    with (
        namespace_on(stack_node, api_client) as pods,
        installed(stack_node, control_plane, pods, programs(), folder) as found,
    ):
        yield found


@pytest.fixture
def person(release: Installed, tmp_path: Path) -> Place:
    """Give the command line of one who has a kubeconfig and the store's keys, and sets no flag."""
    return Place(tmp_path, release.person())


def test_the_stack_runs_in_pods_that_restricted_admits(release: Installed) -> None:
    release.wait_ready()

    images = {pod.spec.containers[0].name: pod.status.phase for pod in release.stack()}
    assert images == {"mlflow": "Running", "minio": "Running", "postgres": "Running"}


def test_a_sweep_from_outside_needs_no_flag(release: Installed, person: Place) -> None:
    done = sweep(person, "outside")

    assert done.code == 0, done.out + done.err
    assert "(cluster=auto)" in done.out
    assert "one Job" in done.out
    assert "http://127.0.0.1:" in done.out, "a way to MLflow for people"
    assert "s3://sweep/studies/outside" in done.out


def test_helm_test_runs_a_sweep_inside(release: Installed) -> None:
    told = helm_test(release)

    assert "Succeeded" in told
    assert "2 trials: 2 completed" in release.pods.logs("sweep-test")


def test_a_night_whose_client_is_killed_completes_as_one_study(
    release: Installed, person: Place
) -> None:
    release.kubectl("create", "job", "--from=cronjob/sweep-nightly", NIGHT)
    wait_until(lambda: trainers(release, NIGHT) != [], within_s=180)
    first = client_of(release)
    release.kubectl("delete", "pod", first, "--grace-period=0", "--force")

    ended = release.pods.wait_job(NIGHT, lambda job: conditions(job) or None, within_s=600)

    second = client_of(release)
    assert second != first
    assert "Complete" in conditions(ended), release.pods.logs(second)
    status = person.verb("status", NIGHT, "--json")
    (told,) = json.loads(status.out)
    assert (told["study"], told["state"]) == (NIGHT, "complete")
    jobs = release.pods.batch.list_namespaced_job(
        release.namespace, label_selector=f"sweep/study={NIGHT}"
    )
    assert [job.metadata.name for job in jobs.items][:1] == [f"{NIGHT}-r1"]


def test_an_upgrade_keeps_passwords_and_data(release: Installed, person: Place) -> None:
    before = release.secrets()
    wait = ("--values", release.values, "--wait", "--timeout", "8m")

    release.helm("upgrade", RELEASE, CHART, *wait, "--set", "mlflow.startupSeconds=400")

    release.wait_ready()
    assert release.secrets() == before
    assert "outside" in person.verb("status").out


def test_artifacts_survive_a_rollback_and_a_restart_of_every_pod(
    release: Installed, person: Place
) -> None:
    secrets, before = release.secrets(), {pod.metadata.uid for pod in release.stack()}
    release.helm("rollback", RELEASE, "1", "--timeout", "8m")
    release.kubectl("delete", "pod", "--selector", OURS, "--wait=false")

    wait_until(lambda: before.isdisjoint(pod.metadata.uid for pod in release.stack()))
    release.wait_ready()

    assert release.secrets() == secrets
    again = person.verb("publish", "outside")
    assert again.code == 0, again.out + again.err
    assert person.verb("report", "outside", "--output", "page.html").code == 0
    assert "outside" in (person.folder / "page.html").read_text()


def test_uninstall_leaves_data_and_passwords_and_says_so(release: Installed) -> None:
    told = release.helm("uninstall", RELEASE, "--wait", "--timeout", "4m")

    for kept in ("sweep-postgres", "sweep-minio", "sweep-store"):
        assert kept in told
    claims = release.pods.core.list_namespaced_persistent_volume_claim(
        release.namespace, label_selector=OURS
    )
    assert {claim.metadata.name for claim in claims.items} == {"sweep-postgres", "sweep-minio"}
    wait_until(lambda: release.stack() == [], within_s=180)


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
            told = helm_test(release)
            release.helm("uninstall", RELEASE, "--wait", "--timeout", "4m")

    assert "Succeeded" in told
    kept = bucket.client().list_objects_v2(Bucket=bucket.name, Prefix="mlflow/")
    assert kept["KeyCount"] > 0, "MLflow keeps the winner's model there"


def sweep(person: Place, study: str) -> Ended:
    words = ("sweep", "+experiment=forecast", *TINY, f"hydra.launcher.study={study}", "-m")
    return finish(person._start(["-m", *words]), within_s=600)


def helm_test(release: Installed) -> str:
    try:
        return release.helm("test", RELEASE, "--timeout", "8m")
    except BedError as error:
        raise AssertionError(f"{error}\n{release.pods.logs('sweep-test')}") from None


def trainers(release: Installed, study: str) -> list[Any]:
    found = release.pods.core.list_namespaced_pod(
        release.namespace, label_selector=f"sweep/study={study}"
    )
    return [pod for pod in found.items if pod.status.phase == "Running"]


def client_of(release: Installed) -> str:
    return str(release.pods.of_job(NIGHT)[-1].metadata.name)
