"""Make pods and Jobs that PodSecurity restricted admits, and wait for what becomes of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubernetes import client
from kubernetes.stream import stream

from testbed.base_image import NAME
from testbed.fixtures import OWN_KUBECONFIG
from testbed.image import PAUSE
from testbed.waiting import until

SHELL = "busybox:1.37" if OWN_KUBECONFIG in os.environ else PAUSE
PYTHON = NAME
USER = 10001
HOLD = "testbed/hold"
WAIT_S = 90.0


def container(
    command: Sequence[str],
    *,
    image: str = SHELL,
    env: Mapping[str, str] | None = None,
    memory: str = "64Mi",
    mounts: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Write a container as restricted wants it, with a read-only root and an empty /tmp."""
    return {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "env": [{"name": name, "value": value} for name, value in (env or {}).items()],
        "resources": {"limits": {"memory": memory}, "requests": {"cpu": "50m"}},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, *mounts],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }


def pod_spec(main: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """Write the specification of a pod that runs once; `changes` are fields of it."""
    volumes = [{"name": "tmp", "emptyDir": {}}, *changes.pop("volumes", [])]
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 5,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [dict(main)],
        "volumes": volumes,
        **changes,
    }


def indexed_job(
    name: str, spec: Mapping[str, Any], *, completions: int, **changes: Any
) -> dict[str, Any]:
    """Write an Indexed Job whose pods run at once; `changes` are fields of its specification."""
    return {
        "metadata": {"name": name},
        "spec": {
            "completionMode": "Indexed",
            "completions": completions,
            "parallelism": completions,
            "template": {"spec": dict(spec)},
            **changes,
        },
    }


@dataclass(frozen=True, slots=True)
class Pods:
    """One namespace, seen by a test."""

    api: client.ApiClient
    namespace: str

    @property
    def core(self) -> client.CoreV1Api:
        """Give the API of pods and Services."""
        return client.CoreV1Api(self.api)

    @property
    def batch(self) -> client.BatchV1Api:
        """Give the API of Jobs."""
        return client.BatchV1Api(self.api)

    def create(
        self,
        name: str,
        spec: Mapping[str, Any],
        *,
        labels: Mapping[str, str] | None = None,
        held: bool = False,
    ) -> None:
        """Create a pod; one that is `held` can be read after it was deleted, until `release`."""
        metadata = {
            "name": name,
            "labels": dict(labels or {}),
            "finalizers": [HOLD] if held else [],
        }
        body = {"metadata": metadata, "spec": dict(spec)}
        self.core.create_namespaced_pod(self.namespace, body)

    def release(self, name: str) -> None:
        """Let a held pod go."""
        gone = {"metadata": {"finalizers": None}}
        self.core.patch_namespaced_pod(name, self.namespace, gone)

    def evict(self, name: str) -> None:
        """Evict a pod, as a drain does."""
        self.core.create_namespaced_pod_eviction(name, self.namespace, {"metadata": {"name": name}})

    def create_job(self, body: Mapping[str, Any]) -> None:
        """Create a Job."""
        self.batch.create_namespaced_job(self.namespace, dict(body))

    def read(self, name: str) -> client.V1Pod:
        """Read a pod."""
        return self.core.read_namespaced_pod(name, self.namespace)

    def read_job(self, name: str) -> client.V1Job:
        """Read a Job."""
        return self.batch.read_namespaced_job(name, self.namespace)

    def of_job(self, name: str) -> list[client.V1Pod]:
        """List a Job's pods, oldest first."""
        selector = f"batch.kubernetes.io/job-name={name}"
        found = self.core.list_namespaced_pod(self.namespace, label_selector=selector).items
        return sorted(found, key=lambda pod: pod.metadata.creation_timestamp)

    def wait_pod_of(self, job: str, *, other_than: str = "") -> str:
        """Wait until a Job has a pod, and name it."""

        def others() -> list[str]:
            names = [str(pod.metadata.name) for pod in self.of_job(job)]
            return [name for name in names if name != other_than]

        return until(others, holds=bool, within_s=WAIT_S)[0]

    def wait_ended(self, name: str, *, within_s: float = WAIT_S) -> client.V1Pod:
        """Wait until a pod has ended."""
        return self._wait_phase(name, "Succeeded", "Failed", within_s=within_s)

    def wait_running(self, name: str, *, within_s: float = WAIT_S) -> client.V1Pod:
        """Wait until a pod runs."""
        return self._wait_phase(name, "Running", within_s=within_s)

    def wait_job(
        self, name: str, holds: Callable[[client.V1JobStatus], object], *, within_s: float = WAIT_S
    ) -> client.V1JobStatus:
        """Wait until a Job's status says something."""
        return until(lambda: self.read_job(name).status, holds=holds, within_s=within_s)

    def logs(self, name: str) -> str:
        """Read what a pod printed."""
        return str(self.core.read_namespaced_pod_log(name, self.namespace))

    def execute(self, name: str, *command: str) -> str:
        """Run a command in a running pod and return what it printed."""
        # A client of its own: `stream` changes the one that it is given.
        with client.ApiClient(self.api.configuration) as api:
            answer = stream(
                client.CoreV1Api(api).connect_get_namespaced_pod_exec,
                name,
                self.namespace,
                command=list(command),
                stdout=True,
                stderr=True,
                _preload_content=False,
            )
            answer.run_forever(timeout=WAIT_S)
            answer.sock.shutdown()  # `close` does nothing where the server closed first
            return str(answer.read_all())

    def _wait_phase(self, name: str, *phases: str, within_s: float) -> client.V1Pod:
        def status() -> client.V1PodStatus:
            return self.read(name).status

        until(status, holds=lambda its: its.phase in phases, within_s=within_s)
        return self.read(name)


def conditions(status: client.V1JobStatus | client.V1PodStatus) -> dict[str, str]:
    """Give the reasons of the conditions that hold, by type."""
    return {each.type: each.reason for each in status.conditions or [] if each.status == "True"}


def exit_code(pod: client.V1Pod) -> int:
    """Give the code with which a pod's container ended."""
    return int(pod.status.container_statuses[0].state.terminated.exit_code)
