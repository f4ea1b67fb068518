"""Run the real command line against a real API server, and look at what it does there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clients import Place, wait_until
from kubernetes import client
from kubernetes.client import ApiClient

if TYPE_CHECKING:
    from testbed.fake import FakeNodes

PLAYS = "testbed/plays"


@dataclass(frozen=True)
class OnCluster:
    """One namespace, and a folder from which its studies are started."""

    place: Place
    namespace: str
    client: ApiClient
    nodes: FakeNodes
    keys: Mapping[str, str]  # of the store, for pods
    log_in: Callable[[], Path]  # writes a kubeconfig of the submitter's

    def renew(self) -> None:
        """Log in again, as after the account was made anew."""
        self.place.extra = {**self.place.extra, "KUBECONFIG": str(self.log_in())}

    @property
    def core(self) -> client.CoreV1Api:
        return client.CoreV1Api(self.client)

    @property
    def batch(self) -> client.BatchV1Api:
        return client.BatchV1Api(self.client)

    def pods(self, study: str = "s") -> list[Any]:
        found = self.core.list_namespaced_pod(self.namespace, label_selector=f"sweep/study={study}")
        return list(found.items)

    def jobs(self, study: str = "s") -> list[Any]:
        found = self.batch.list_namespaced_job(
            self.namespace, label_selector=f"sweep/study={study}"
        )
        return list(found.items)

    def running(self, study: str = "s") -> list[Any]:
        return [pod for pod in self.pods(study) if pod.status.phase == "Running"]

    def wait_running(self, count: int = 1, study: str = "s") -> list[Any]:
        wait_until(lambda: len(self.running(study)) >= count)
        return self.running(study)

    def make_play(self, pod: Any, what: str) -> None:
        """Make one pod die in some way, such as OOMKilled or Evicted."""
        body = {"metadata": {"annotations": {PLAYS: what}}}
        self.core.patch_namespaced_pod(pod.metadata.name, self.namespace, body)

    def wait(self, happened: Callable[[], bool]) -> None:
        wait_until(happened)
