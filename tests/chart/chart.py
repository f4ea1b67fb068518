"""Render the chart by helm, and read what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from testbed.helm import Programs

REPOSITORY = Path(__file__).parents[2]
CHART = REPOSITORY / "charts" / "sweep"
IMAGES = ("image=registry.example/sweep@sha256:0", "client.image=registry.example/client:1")
BARE = ("minio.enabled=false", "postgres.enabled=false", "mlflow.enabled=false")
EXTERNAL = (  # nothing of the stack, all of it elsewhere
    *BARE,
    "store.url=s3://theirs/studies",
    "store.endpoint.pods=https://s3.example",
    "tracking.pods=https://mlflow.example",
)
EVERYTHING = (
    "nightly.enabled=true",
    "nightly.gate.webhookSecret=hook",
    "mlflow.auth.enabled=true",
    "mlflow.upgradeDatabase=true",
    "ingress.enabled=true",
    "ingress.host=mlflow.example",
    "ingress.storeHost=s3.example",
    "ingress.tls.secret=tls",
    "quota.enabled=true",
    "quota.hard.pods=20",
    "limitRange.enabled=true",
    "limitRange.default.cpu=1",
    "queue=team",
    "localQueue.enabled=true",
    "localQueue.clusterQueue=all",
    "networkPolicy.egress[0].cidr=192.0.2.1/32",
    "networkPolicy.egress[0].port=443",
    "imagePullSecrets[0]=pull",
    "nodeSelector.pool=sweeps",
    "postgres.settings.max_connections=50",
    "postgres.persistence.storageClass=-",
)

Body = dict[str, Any]


def template(helm: Programs, *sets: str) -> str:
    """Render the chart into namespace `here`; raises BedError with helm's words."""
    words = [word for each in sets for word in ("--set", each)]
    return helm.run("template", "r", CHART, "--namespace", "here", *words)


def render(helm: Programs, *sets: str) -> list[Body]:
    """Read the objects of a rendered chart."""
    return [body for body in yaml.safe_load_all(template(helm, *sets)) if body]


def one(objects: list[Body], kind: str, name: str) -> Body:
    """Find one object."""
    (found,) = [o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name]
    return found


def pod_specs(objects: list[Body]) -> Mapping[str, Body]:
    """Give the specification of every pod that the objects make."""
    found = {}
    for body in objects:
        spec = body.get("spec") or {}
        if body["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if body["kind"] == "Pod":
            spec = {"template": {"spec": spec}}
        if "template" in spec:
            found[f"{body['kind']}/{body['metadata']['name']}"] = spec["template"]["spec"]
    return found
