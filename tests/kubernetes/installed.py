"""Install the chart on a real node, as an administrator would, and look at what runs there."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml
from kubernetes import client
from testbed.control import ControlPlane
from testbed.environment import ENV, environment_folders
from testbed.errors import BedError
from testbed.helm import Programs
from testbed.pods import PYTHON, Pods
from testbed.real_fixtures import Trainer
from testbed.volumes import Shown, shown
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

    def helm_test(self) -> str:
        """Run the chart's own test; return what helm said of it."""
        try:
            return self.helm("test", RELEASE, "--timeout", "8m")
        except BedError as error:
            raise AssertionError(f"{error}\n{self.pods.logs('sweep-test')}") from None

    @contextmanager
    def mlflow(self) -> Iterator[str]:
        """Reach MLflow as the client tells a person to, while the context lasts."""
        words = ["--namespace", self.namespace, "port-forward", "service/sweep-mlflow", ":5000"]
        env = {**os.environ, "KUBECONFIG": str(self.control.kubeconfig)}
        with subprocess.Popen(
            [self.programs.kubectl, *words], env=env, stdout=subprocess.PIPE, text=True
        ) as tunnel:
            try:
                assert tunnel.stdout is not None
                told = tunnel.stdout.readline()  # "Forwarding from 127.0.0.1:41234 -> 5000"
                yield f"http://{told.split()[2]}"
            finally:
                tunnel.kill()

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
    client_image: str | None = None,
) -> Iterator[Installed]:
    """Install the chart with its defaults, but for images that this machine has, and `changes`.

    Clients and MLflow run in `client_image`, else in this machine's Python environment, shown
    read-only.
    """
    with ExitStack() as stack:
        stack.enter_context(_disks(pods, folder))
        python: dict[str, Any] = {"image": client_image}
        if client_image is None:
            python = _python(stack.enter_context(shown(pods, environment_folders())))
        values = folder / "values.yaml"
        plain = _values(node, python)
        merged = {name: {**plain.get(name, {}), **part} for name, part in changes.items()}
        values.write_text(yaml.safe_dump({**plain, **merged}))
        release = Installed(pods, programs, control, values)
        release.helm("install", RELEASE, CHART, "--values", values, "--wait", "--timeout", "8m")
        yield release


def _python(environment: Shown) -> dict[str, Any]:
    variables = {
        **ENV,
        "PATH": f"{Path(sys.prefix) / 'bin'}:{os.defpath}",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    kept = {name: value for name, value in variables.items() if name not in ("HOME", "USER")}
    folders = {"volumes": environment.volumes, "volumeMounts": environment.mounts}
    return {"image": PYTHON, "env": kept, **folders}


def _values(node: Trainer, python: Mapping[str, Any]) -> dict[str, Any]:
    little = {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}}
    by_hand = {"persistence": {"storageClass": "-", "size": "1Gi"}}
    return {
        "image": node.image,
        "client": {**python, "resources": little},
        "mlflow": {**python, "resources": little},
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
