"""A Job's pods do what every cluster does: those played on fake nodes, and those of real ones."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
from cluster_conformance import ClusterConformance
from cluster_ground import WORKERS, wait_until
from kubernetes import client, config
from release_objects import install
from testbed.bed import Bed
from testbed.control import ControlPlane
from testbed.environment import ENV, Environment
from testbed.fake import FakeNodes
from testbed.levers import Link
from testbed.pods import PYTHON, Pods
from testbed.s3 import S3Server
from testbed.volumes import Shown

from sweep.cluster import PackEvent, Work
from sweep.cluster.api import Api
from sweep.cluster.kubernetes import KubernetesCluster
from sweep.cluster.release import Release
from sweep.study.rendering import render
from sweep.study.siting import kubernetes_site

pytestmark = pytest.mark.kube


@dataclass
class OnPods:
    """One namespace, in which a submitter may do what the release's Role allows."""

    folder: Path
    api: Api
    store: str
    options: Mapping[str, Any] = field(default_factory=dict)  # of hydra.launcher
    ends_s: float = 120.0  # the Job controller waits 10 s before it repeats a pod
    opened: list[KubernetesCluster] = field(default_factory=list)

    def open(self) -> KubernetesCluster:
        settings = kubernetes_site(
            {"image": "registry.example/sweep:1", **self.options, "parallelism": WORKERS},
            release=Release(service_account="sweep-trainer"),
            api=self.api,
            where="the test bed",
        ).settings
        assert settings is not None
        self.opened.append(
            KubernetesCluster(api=self.api, render=lambda work: render(settings, work))
        )
        return self.opened[-1]

    def worker(self, work: Work, event: PackEvent) -> psutil.Process:
        assert event.pack is not None
        index = list(work.packs).index(event.pack)
        wait_until(lambda: bool(processes_of(work, index)))
        found = processes_of(work, index)
        return next(each for each in found if each.parent() not in found)


def processes_of(work: Work, index: int) -> list[psutil.Process]:
    """Find the processes of a pod, wherever on this machine it runs."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            env = process.environ()
        except psutil.Error:  # it has just ended
            continue
        if env.get("SWEEP_STUDY") == work.study and env["JOB_COMPLETION_INDEX"] == str(index):
            found.append(process)
    return found


@pytest.fixture
def submitter(
    control_plane: ControlPlane, api_client: client.ApiClient, namespace: str
) -> Iterator[Api]:
    """Speak with the API server as one who may do what k8s/role.yaml says."""
    install(api_client, namespace, release={}, keys={})
    settings = client.Configuration()
    file = control_plane.kubeconfig_of_account(namespace, "sweep-submitter")
    config.load_kube_config(str(file), client_configuration=settings)
    settings.retries = 0
    with client.ApiClient(settings) as connection:
        yield Api(connection, namespace, "the test bed")


class TestFakeNodes(ClusterConformance):
    @pytest.fixture
    def ground(self, submitter: Api, fake_nodes: FakeNodes, tmp_path: Path) -> Iterator[OnPods]:
        fake_nodes.add(2)
        ground = OnPods(tmp_path, submitter, str(tmp_path / "store"), {"grace_s": 5})
        yield ground
        stop(ground)


@pytest.mark.node
@pytest.mark.stack
@pytest.mark.slow
class TestRealNodes(ClusterConformance):
    @pytest.fixture
    def ground(
        self,
        pods: Pods,
        machine_environment: Environment,
        open_folder: tuple[Path, Shown],
        submitter: Api,
        minio: S3Server,
        bed: Bed,
        monkeypatch: pytest.MonkeyPatch,
    ) -> Iterator[OnPods]:
        folder, shown = open_folder
        bucket = minio.new_bucket()
        for name, value in bucket.env.items():
            monkeypatch.setenv(name, value)
        with Link(minio.endpoint, address=bed.address) as link:
            options = {
                "image": PYTHON,
                "pull_policy": "IfNotPresent",
                "command": [str(Path(sys.prefix) / "bin" / "python"), "-m", "sweep.worker"],
                "volumes": [*machine_environment.volumes, *shown.volumes],
                "volume_mounts": [*machine_environment.shown.mounts, *shown.mounts],
                "env": {**ENV, **bucket.at(link.url).env},
                "resources": {"cpu": "100m", "memory": "1Gi"},
                "grace_s": 5,
            }
            ground = OnPods(folder, submitter, bucket.url, options)
            yield ground
            stop(ground)
        minio.drop_bucket(bucket)


def stop(ground: OnPods) -> None:
    for cluster in ground.opened:
        if not cluster.finished:
            cluster.stop(1.0)
