"""Show pods folders of this machine, as PodSecurity restricted allows: by claims."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from testbed.pods import Pods


@dataclass(frozen=True, slots=True)
class Shown:
    """What a pod's specification needs to see some folders, at the places that they have here."""

    volumes: list[dict[str, Any]]
    mounts: list[dict[str, Any]]


@contextmanager
def shown(pods: Pods, folders: Sequence[Path], *, writable: bool = False) -> Iterator[Shown]:
    """Make volumes of folders and claims in a namespace; remove the volumes at the end.

    A writable folder has to be open to the pods' user: nothing changes its owner.
    """
    names = {f"folder-{uuid4().hex[:8]}": folder for folder in folders}
    for name, folder in names.items():
        volume, claim = _bound(name, pods.namespace, folder, writable=writable)
        pods.core.create_persistent_volume(volume)
        pods.core.create_namespaced_persistent_volume_claim(pods.namespace, claim)
    # Also read-only by the claim: else a pod's fsGroup would change the folder's owner.
    once_more = {} if writable else {"readOnly": True}
    yield Shown(
        volumes=[
            {"name": name, "persistentVolumeClaim": {"claimName": name, **once_more}}
            for name in names
        ],
        mounts=[
            {"name": name, "mountPath": str(folder), **once_more} for name, folder in names.items()
        ],
    )
    for name in names:
        pods.core.delete_persistent_volume(name)


def _bound(
    name: str, namespace: str, folder: Path, *, writable: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    kind = {
        "accessModes": ["ReadWriteMany" if writable else "ReadOnlyMany"],
        "storageClassName": "",
    }
    volume = {
        "metadata": {"name": name},
        "spec": {
            **kind,
            "capacity": {"storage": "1Gi"},
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": namespace, "name": name},
            "hostPath": {"path": str(folder), "type": "Directory"},
        },
    }
    claim = {
        "metadata": {"name": name},
        "spec": {**kind, "volumeName": name, "resources": {"requests": {"storage": "1Gi"}}},
    }
    return volume, claim
