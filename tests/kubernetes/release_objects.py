"""Put the release's objects of k8s/ into a test's namespace."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client
from kubernetes.client import ApiClient

K8S = Path(__file__).parents[2] / "k8s"
SECRET = "sweep-store"


def install(
    api_client: ApiClient,
    namespace: str,
    *,
    release: Mapping[str, str],
    keys: Mapping[str, str],
) -> None:
    """Create accounts, Role, release and the store's Secret, as `kubectl apply -k` would."""
    core, rbac = client.CoreV1Api(api_client), client.RbacAuthorizationV1Api(api_client)
    for body in objects("accounts.yaml"):
        core.create_namespaced_service_account(namespace, body)
    role, binding = objects("role.yaml")
    rbac.create_namespaced_role(namespace, role)
    rbac.create_namespaced_role_binding(namespace, binding)
    (config,) = objects("release.yaml")
    core.create_namespaced_config_map(namespace, {**config, "data": {**config["data"], **release}})
    core.create_namespaced_secret(
        namespace, {"metadata": {"name": SECRET}, "stringData": dict(keys)}
    )


def objects(name: str) -> list[dict[str, Any]]:
    """Read one file of k8s/."""
    return list(yaml.safe_load_all((K8S / name).read_text()))
