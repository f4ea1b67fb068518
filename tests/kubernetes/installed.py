"""Install the chart on a real node, as an administrator would, and look at what runs there."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml
from kubernetes import client
from testbed.control import ControlPlane
from testbed.environment import ENV, environment_folders
from testbed.helm import Programs
from testbed.pods import PYTHON, Pods
from testbed.real_fixtures import Trainer
from testbed.volumes import shown
from testbed.waiting import until

CHART = Path(__file__).parents[2] / "charts" / "sweep"
RELEASE = "sweep"
LABELS = {
    f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")
}
NODES_ANNOTATION = "scheduler.alpha.kubernetes.io/node-selector"
PARTS = ("mlflow", "minio", "postgres")
NOTHING: Mapping[str, Mapping[str, Any]] = {}
OURS = "app.kubernetes.io/instance=" + RELEASE
TINY = (
    "guide=none",
    "optim.lr=0.001,0.003",
    "data.lookback=4",
    "train.batch_size=256",
    "train.epochs=2",
    "hydra.launcher.pack.size=5",  # most of a small pod's life is the import of torch
)


@dataclass(frozen=True, slots=True)
class Installed:
    """A release in a namespace of its own."""

    pods: Pods
    programs: Programs
    control: ControlPlane
    values: Path

    @property
    def namespace(self) -> str:
        """Give its namespace."""
        return self.pods.namespace

    def helm(self, *words: str | Path) -> str:
        """Run helm as the namespace's administrator."""
        where = ("--namespace", self.namespace)
        return self.programs.run(*words, *where, kubeconfig=self.control.kubeconfig)

    def kubectl(self, *words: str | Path) -> str:
        """Run kubectl as the namespace's administrator."""
        where = ("--namespace", self.namespace)
        return self.programs.ask(*words, *where, kubeconfig=self.control.kubeconfig)

    def stack(self) -> list[Any]:
        """List the pods of the stack."""
        parts = f"{OURS},app.kubernetes.io/component in ({','.join(PARTS)})"
        found = self.pods.core.list_namespaced_pod(self.namespace, label_selector=parts)
        return list(found.items)

    def wait_ready(self) -> None:
        """Wait until each part of the stack has one pod, which is ready."""
        until(self.stack, holds=_all_ready, within_s=300)

    def secrets(self) -> dict[str, dict[str, str]]:
        """Read the Secrets that the chart made."""
        found = self.pods.core.list_namespaced_secret(self.namespace, label_selector=OURS)
        return {
            each.metadata.name: {k: base64.b64decode(v).decode() for k, v in each.data.items()}
            for each in found.items
        }

    def person(self) -> dict[str, str]:
        """Give the environment of a person whom the installer gave a kubeconfig and keys."""
        kubeconfig = self.control.kubeconfig_of_account(self.namespace, "sweep-submitter")
        return {"KUBECONFIG": str(kubeconfig), **self.secrets()["sweep-store"]}


@contextmanager
def namespace_on(node: Trainer, api: client.ApiClient) -> Iterator[Pods]:
    """Make a restricted namespace whose pods all go to one node."""
    core, name = client.CoreV1Api(api), f"chart-{uuid4().hex[:8]}"
    selector = {NODES_ANNOTATION: f"kubernetes.io/hostname={node.node}"}
    core.create_namespace({"metadata": {"name": name, "labels": LABELS, "annotations": selector}})
    yield Pods(api, name)
    core.delete_namespace(name)


@contextmanager
def installed(
    node: Trainer,
    control: ControlPlane,
    pods: Pods,
    programs: Programs,
    folder: Path,
    changes: Mapping[str, Mapping[str, Any]] = NOTHING,
) -> Iterator[Installed]:
    """Install the chart with its defaults, but for images that this machine has, and `changes`.

    Clients and MLflow run in this machine's Python environment, shown read-only.
    """
    with shown(pods, environment_folders()) as environment, _disks(pods, folder):
        values = folder / "values.yaml"
        plain = _values(node, environment.volumes, environment.mounts)
        merged = {name: {**plain.get(name, {}), **part} for name, part in changes.items()}
        values.write_text(yaml.safe_dump({**plain, **merged}))
        release = Installed(pods, programs, control, values)
        release.helm("install", RELEASE, CHART, "--values", values, "--wait", "--timeout", "8m")
        yield release


def _values(
    node: Trainer, volumes: list[dict[str, Any]], mounts: list[dict[str, Any]]
) -> dict[str, Any]:
    python = {
        **ENV,
        "PATH": f"{Path(sys.prefix) / 'bin'}:{os.defpath}",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    kept = {name: value for name, value in python.items() if name not in ("HOME", "USER")}
    shared = {"image": PYTHON, "env": kept, "volumes": volumes, "volumeMounts": mounts}
    little = {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}}
    by_hand = {"persistence": {"storageClass": "-", "size": "1Gi"}}
    return {
        "image": node.image,
        "client": {**shared, "resources": little},
        "mlflow": {**shared, "resources": little},
        "postgres": by_hand,
        "minio": by_hand,
        "nightly": {"enabled": True, "schedule": "0 0 29 2 *", "overrides": list(TINY)},
        "test": {"overrides": list(TINY)},
    }


@contextmanager
def _disks(pods: Pods, folder: Path) -> Iterator[None]:
    # What a storage class would make; nothing makes volumes here.
    names = {f"{pods.namespace}-{part}": part for part in ("postgres", "minio")}
    for name, part in names.items():
        place = folder / part
        place.mkdir()
        place.chmod(0o777)
        body = {
            "metadata": {"name": name},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "capacity": {"storage": "1Gi"},
                "storageClassName": "",
                "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {"namespace": pods.namespace, "name": f"sweep-{part}"},
                "hostPath": {"path": str(place), "type": "Directory"},
            },
        }
        pods.core.create_persistent_volume(body)
    yield
    for name in names:
        pods.core.delete_persistent_volume(name)


def _all_ready(pods: list[Any]) -> bool:
    ready = [
        pod
        for pod in pods
        if not pod.metadata.deletion_timestamp
        and any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or [])
    ]
    return len(pods) == len(ready) == len(PARTS)
