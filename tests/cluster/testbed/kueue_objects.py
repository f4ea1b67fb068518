"""Read the objects that Kueue's own module installs, for one that is a process here."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from testbed.binaries import SOURCES
from testbed.errors import BedError

MODULE = "sigs.k8s.io/kueue"
NAMESPACE = "kueue-system"
SERVICE, SECRET = "kueue-webhook-service", "kueue-webhook-server-cert"  # Kueue's names for them
VISIBILITY_SERVICE = "kueue-visibility-server"
ACCOUNT = "kueue-controller-manager"
PREFIX = "kueue-"  # as its kustomization names what the manifests leave short
CONVERTED = ("clusterqueues", "cohorts", "localqueues", "multikueueclusters", "workloads")
HOOKED = ("jobs", "clusterqueues", "cohorts", "resourceflavors", "workloads")  # as configured
Body = dict[str, Any]


def module_folder() -> Path:
    """Find the sources of the Kueue that is built here; they are downloaded if they are gone."""
    done = subprocess.run(
        ["go", "mod", "download", "-json", MODULE],
        cwd=SOURCES / "kueue",
        env={**os.environ, "GOFLAGS": "-mod=readonly"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BedError(f"go mod download {MODULE}: {(done.stderr or done.stdout)[-2000:]}")
    return Path(json.loads(done.stdout)["Dir"])


def definitions(module: Path, *, port: int) -> Iterator[Body]:
    """Give the custom resources' definitions; Kueue converts between their versions."""
    for file in sorted((module / "config" / "components" / "crd" / "bases").glob("*.yaml")):
        (body,) = _documents(file)
        if body["spec"]["names"]["plural"] in CONVERTED:
            body["spec"]["conversion"] = {
                "strategy": "Webhook",
                "webhook": {
                    "clientConfig": {"service": _service("/convert", port)},
                    "conversionReviewVersions": ["v1"],
                },
            }
        yield body


def webhooks(module: Path, *, port: int) -> list[Body]:
    """Give its admission webhooks, of the kinds that it is configured to look after."""
    bodies = _documents(module / "config" / "components" / "webhook" / "manifests.yaml")
    for body in bodies:
        body["metadata"]["name"] = PREFIX + body["metadata"]["name"]
        body["webhooks"] = [hook for hook in body["webhooks"] if _looked_after(hook)]
        for hook in body["webhooks"]:
            hook["clientConfig"]["service"] = _service(
                hook["clientConfig"]["service"]["path"], port
            )
    return bodies


def service(name: str, *, address: str) -> Body:
    """Give a Service by which the API server finds Kueue: another name of where it is."""
    return {
        "metadata": {"name": name},
        "spec": {"type": "ExternalName", "externalName": address},
    }


def visibility(module: Path, *, port: int) -> Iterator[Body]:
    """Give the APIServices by which the API server passes on what Kueue is asked for places."""
    folder = module / "config" / "components" / "visibility"
    for file in sorted(folder.glob("apiservice_*.yaml")):
        (body,) = _documents(file)
        body["spec"]["service"] |= {"name": VISIBILITY_SERVICE, "port": port}
        yield body


def configuration(
    *,
    address: str,
    health_port: int,
    webhook_port: int,
    certificates: Path,
    frameworks: Sequence[str],
    tells_places: bool,
) -> Body:
    """Give the configuration file of Kueue's manager."""
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": f"{address}:{health_port}"},
        "metrics": {"bindAddress": "0"},  # none
        "webhook": {"host": address, "port": webhook_port, "certDir": str(certificates)},
        "leaderElection": {"leaderElect": False},
        "clientConnection": {"qps": 200, "burst": 400},
        "integrations": {"frameworks": list(frameworks)},
        # Listens on a port that cannot be chosen, which two beds could not share.
        "featureGates": {"VisibilityOnDemand": tells_places},
    }


def _service(path: str, port: int) -> Body:
    return {"name": SERVICE, "namespace": NAMESPACE, "path": path, "port": port}


def _looked_after(hook: Body) -> bool:
    return any(set(rule["resources"]) & set(HOOKED) for rule in hook["rules"])


def _documents(file: Path) -> list[Body]:
    # The C loader: the Workload alone is 19,000 lines.
    return list(yaml.load_all(file.read_text(), Loader=yaml.CSafeLoader))
