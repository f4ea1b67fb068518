"""A namespace with the sweep release, a store in S3, and the command line of one who may submit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from clients import Place
from on_cluster import OnCluster
from release_objects import install
from tracked import Tracked

if TYPE_CHECKING:
    from kubernetes.client import ApiClient
    from testbed.control import ControlPlane
    from testbed.fake import FakeNodes
    from testbed.mlflow_server import MlflowServer
    from testbed.s3 import Bucket, S3Server

KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@pytest.fixture
def bucket(minio: S3Server) -> Iterator[Bucket]:
    found = minio.new_bucket()
    yield found
    minio.drop_bucket(found)


@pytest.fixture
def on_cluster(
    control_plane: ControlPlane,
    fake_nodes: FakeNodes,
    api_client: ApiClient,
    namespace: str,
    bucket: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> OnCluster:
    """Give the command line of a submitter whose pods are played on two fake nodes."""
    fake_nodes.add(2, cpu="16")
    env = {name: value for name, value in bucket.env.items() if name != "AWS_ENDPOINT_URL"}
    for name, value in {**env, "AWS_ENDPOINT_URL_S3": bucket.endpoint}.items():
        monkeypatch.setenv(name, value)  # this process reads the store too
    release = {
        "image": "registry.example/sweep@sha256:" + "0" * 64,
        "store": f"{bucket.url}/studies",
        "store.endpoint.pods": bucket.endpoint,
        "store.endpoint.people": bucket.endpoint,
    }
    keys = {name: env[name] for name in KEYS}
    install(api_client, namespace, release=release, keys=keys)
    given = OnCluster(
        place=Place(tmp_path, {}, f"{bucket.url}/studies"),
        namespace=namespace,
        client=api_client,
        nodes=fake_nodes,
        keys=keys,
        log_in=lambda: control_plane.kubeconfig_of_account(namespace, "sweep-submitter"),
    )
    given.renew()
    return given


@pytest.fixture
def tracked(on_cluster: OnCluster, mlflow_stack: MlflowServer) -> Iterator[Tracked]:
    """Let the release name an MLflow server, by one Link for pods and one for people."""
    from testbed.levers import Link

    with Link(mlflow_stack.uri) as pods, Link(mlflow_stack.uri) as people:
        release = {"tracking.pods": pods.url, "tracking.people": people.url}
        on_cluster.core.patch_namespaced_config_map(
            "sweep-release", on_cluster.namespace, {"data": release}
        )
        on_cluster.place.extra = {**on_cluster.place.extra, "FRAIL_TRACKED": "1"}
        yield Tracked(on_cluster, mlflow_stack, f"s-{on_cluster.namespace}", pods, people)
