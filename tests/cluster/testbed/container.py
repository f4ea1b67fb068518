"""Work out what a kubelet would run for a pod, and what it would say of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Pod = Mapping[str, Any]
Sources = Mapping[tuple[str, str], Mapping[str, str]]  # ("Secret" or "ConfigMap", name) to its data

REFERENCE = re.compile(r"\$(\$|\(([A-Za-z_.-][A-Za-z0-9_.-]*)\))")
IN_BRACKETS = re.compile(r"metadata\.(annotations|labels)\['([^']+)'\]")
KINDS = {"secretRef": "Secret", "configMapRef": "ConfigMap"}
KEY_KINDS = {"secretKeyRef": "Secret", "configMapKeyRef": "ConfigMap"}
SIGNALLED = 128
SUFFIXES = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9}


class ConfigError(Exception):
    """The container's environment names something that does not exist."""


@dataclass(frozen=True, slots=True)
class End:
    """How a container ended."""

    code: int
    reason: str
    started: str
    finished: str
    pod_reason: str | None = None  # where the kubelet ended the pod as a whole
    message: str = ""  # its last words, where the pod wants its log read for them


def sources_named(container: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Name the Secrets and ConfigMaps that the environment reads, as (kind, name)."""
    whole = {
        (kind, each[field]["name"])
        for each in container.get("envFrom", ())
        for field, kind in KINDS.items()
        if field in each
    }
    single = {
        (kind, each["valueFrom"][field]["name"])
        for each in container.get("env", ())
        for field, kind in KEY_KINDS.items()
        if field in each.get("valueFrom", {})
    }
    return whole | single


def environment(pod: Pod, *, container: Mapping[str, Any], sources: Sources) -> dict[str, str]:
    """Give the container's own variables: envFrom first, then env in order, references expanded.

    Raises ConfigError for what is named, not optional, and not there.
    """
    found: dict[str, str] = {}
    for each in container.get("envFrom", ()):
        for field, kind in KINDS.items():
            if field in each:
                data = _data(each[field], kind=kind, sources=sources) or {}
                prefix = each.get("prefix", "")
                found |= {prefix + name: value for name, value in data.items()}
    for each in container.get("env", ()):
        if "valueFrom" not in each:
            found[each["name"]] = expand(each.get("value", ""), variables=found)
            continue
        value = _value_from(pod, container=container, origin=each["valueFrom"], sources=sources)
        if value is not None:
            found[each["name"]] = value
    return found


def command(
    container: Mapping[str, Any], *, entrypoint: Sequence[str], variables: Mapping[str, str]
) -> list[str]:
    """Give what runs: the pod's command, or the image's entrypoint, with the pod's arguments."""
    words = [*container.get("command", entrypoint), *container.get("args", ())]
    return [expand(word, variables=variables) for word in words]


def expand(text: str, *, variables: Mapping[str, str]) -> str:
    """Replace $(NAME) where NAME is known; $$ stands for one $."""

    def replaced(found: re.Match[str]) -> str:
        return "$" if found[1] == "$" else variables.get(found[2], found[0])

    return REFERENCE.sub(replaced, text)


def exit_code(returned: int) -> int:
    """Give a container's code for a process's, which is negative after a signal."""
    return SIGNALLED - returned if returned < 0 else returned


def ended(pod: Pod, *, end: End) -> dict[str, Any]:
    """Give the status of a pod whose container has ended."""
    terminated = {
        "exitCode": end.code,
        "reason": end.reason,
        "startedAt": end.started,
        "finishedAt": end.finished,
        **({"message": end.message} if end.message else {}),
    }
    status: dict[str, Any] = {
        "phase": "Succeeded" if end.code == 0 and not end.pod_reason else "Failed",
        "containerStatuses": [
            {
                **before,
                "ready": False,
                "started": False,
                "state": {"terminated": {**terminated, "containerID": before["containerID"]}},
            }
            for before in pod["status"]["containerStatuses"]
        ],
        "conditions": _not_ready(end.finished),
    }
    return status | ({"reason": end.pod_reason} if end.pod_reason else {})


def waiting(pod: Pod, *, reason: str, message: str) -> dict[str, Any]:
    """Give the status of a pod whose container cannot start yet."""
    state = {"waiting": {"reason": reason, "message": message}}
    statuses = pod["status"]["containerStatuses"]
    return {
        "containerStatuses": [
            {**before, "ready": False, "started": False, "state": state} for before in statuses
        ]
    }


def _not_ready(now: str) -> list[dict[str, str]]:
    return [
        {"type": each, "status": "False", "lastTransitionTime": now}
        for each in ("Ready", "ContainersReady")
    ]


def _data(reference: Mapping[str, Any], *, kind: str, sources: Sources) -> Mapping[str, str] | None:
    data = sources.get((kind, reference["name"]))
    if data is None and not reference.get("optional"):
        raise ConfigError(f'{kind.lower()} "{reference["name"]}" not found')
    return data


def _value_from(
    pod: Pod, *, container: Mapping[str, Any], origin: Mapping[str, Any], sources: Sources
) -> str | None:
    if "fieldRef" in origin:
        return field(pod, path=origin["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in origin:
        return _resource(container, reference=origin["resourceFieldRef"])
    for name, kind in KEY_KINDS.items():
        if name in origin:
            reference = origin[name]
            data = _data(reference, kind=kind, sources=sources)
            if data is not None and reference["key"] in data:
                return data[reference["key"]]
            if not reference.get("optional"):
                raise ConfigError(f"couldn't find key {reference['key']} in {kind}")
            return None
    raise ConfigError(f"the player knows no {', '.join(origin)}")


def field(pod: Pod, *, path: str) -> str:
    """Read one field by the downward API's path."""
    keyed = IN_BRACKETS.fullmatch(path)
    if keyed:
        return str(pod["metadata"].get(keyed[1], {}).get(keyed[2], ""))
    found: Any = pod
    for name in path.split("."):
        found = found.get(name, {})
    return str(found or "")


def _resource(container: Mapping[str, Any], *, reference: Mapping[str, Any]) -> str:
    kind, _, name = reference["resource"].partition(".")
    quantity = container.get("resources", {}).get(kind, {}).get(name, "0")
    # Rounded up, as the kubelet does.
    return str(-int(-_number(quantity) // _number(reference.get("divisor") or "1")))


def _number(quantity: str) -> float:
    if quantity.endswith("m"):
        return float(quantity[:-1]) / 1000
    for suffix, factor in SUFFIXES.items():
        if quantity.endswith(suffix):
            return float(quantity.removesuffix(suffix)) * factor
    return float(quantity)
