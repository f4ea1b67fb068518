"""A Job's pods do what every cluster does; here they are played on fake nodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from cluster_conformance import WORKERS, ClusterConformance, wait_until
from kubernetes import client, config
from release_objects import install
from testbed.control import ControlPlane
from testbed.fake import FakeNodes

from sweep.cluster import PackEvent, Work
from sweep.cluster.api import Api
from sweep.cluster.kubernetes import KubernetesCluster
from sweep.cluster.release import Release
from sweep.study.siting import kubernetes_site, render

pytestmark = pytest.mark.kube


@dataclass
class OnPods:
    """One namespace, in which a submitter may do what the release's Role allows."""

    folder: Path
    api: Api
    ends_s: float = 120.0  # the Job controller waits 10 s before it repeats a pod
    opened: list[KubernetesCluster] = field(default_factory=list)

    def open(self) -> KubernetesCluster:
        settings = kubernetes_site(
            {"parallelism": WORKERS, "grace_s": 5},
            release=Release(image="registry.example/sweep:1", service_account="sweep-trainer"),
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
        ground = OnPods(tmp_path, submitter)
        yield ground
        for cluster in ground.opened:
            if not cluster.finished:
                cluster.stop(1.0)
