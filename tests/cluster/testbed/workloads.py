"""Build pods and Jobs that PodSecurity's level restricted admits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

IMAGE = "testbed.invalid/none"  # nobody pulls it: fake nodes do not, real ones have theirs
CONTAINER = "main"
USER = 10001


def make_pod(
    name: str = "pod",
    *,
    command: Sequence[str] | None = None,
    image: str = IMAGE,
    env: Sequence[Mapping[str, Any]] = (),
    plays: str | None = None,
    after: str | None = None,
    exit_code: int | None = None,
    grace_s: int = 5,
    resources: Mapping[str, str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """Build a pod of one container; `plays`, `after` and `exit_code` script it on a fake node."""
    limits = dict(resources or {})
    container = {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "env": list(env),
        "resources": {"requests": limits, "limits": limits},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    if command is not None:
        container["command"] = list(command)
    script = {"plays": plays, "after": after, "exit-code": exit_code}
    return {
        "metadata": {
            "name": name,
            "annotations": {
                f"testbed/{key}": str(value) for key, value in script.items() if value is not None
            },
        },
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": grace_s,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            **spec,
        },
    }


def make_job(
    pod: Mapping[str, Any],
    *,
    name: str = "job",
    completions: int = 1,
    parallelism: int | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """Build an Indexed Job of such pods."""
    return {
        "metadata": {"name": name},
        "spec": {
            "completionMode": "Indexed",
            "completions": completions,
            "parallelism": parallelism or completions,
            "template": {
                "metadata": {"annotations": pod["metadata"]["annotations"]},
                "spec": pod["spec"],
            },
            **spec,
        },
    }
