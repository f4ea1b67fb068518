"""Have the API server write down what service accounts ask of it, and read that."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

# Of controllers there would be thousands; of components and administrators nobody asks.
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
        {"level": "None"},
    ],
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for objects of a namespace."""

    group: str
    resource: str  # with its part, as in pods/log
    verb: str
    code: int


def audit_flags(folder: Path) -> list[str]:
    """Write the policy and return the API server's flags for it."""
    folder.mkdir(parents=True, exist_ok=True)
    policy = folder / "audit-policy.yaml"
    policy.write_text(yaml.safe_dump(POLICY))
    return [f"--audit-policy-file={policy}", f"--audit-log-path={_log(folder)}"]


def asked_by(folder: Path, *, namespace: str, account: str) -> list[Asked]:
    """Read what a service account has asked; of a request that lasts, each stage is one."""
    user = f"system:serviceaccount:{namespace}:{account}"
    events = [json.loads(line) for line in _log(folder).read_text().splitlines()]
    return [_asked(event) for event in events if event["user"]["username"] == user]


def _asked(event: dict[str, Any]) -> Asked:
    found = event.get("objectRef", {})
    parts = [found.get("resource", event["requestURI"]), found.get("subresource", "")]
    return Asked(
        group=found.get("apiGroup", ""),
        resource="/".join(filter(None, parts)),
        verb=event["verb"],
        code=event.get("responseStatus", {}).get("code", 0),
    )


def _log(folder: Path) -> Path:
    return folder / "audit.log"
