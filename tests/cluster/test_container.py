"""What runs in a pod's container follows Kubernetes' rules, told as plain values."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest
from testbed.bridge import free_network
from testbed.container import (
    ConfigError,
    command,
    environment,
    exit_code,
    expand,
    field,
    sources_named,
)
from testbed.errors import BedError

INDEX = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
POD = {
    "metadata": {
        "name": "study-r1-3-x7",
        "annotations": {"batch.kubernetes.io/job-completion-index": "3"},
        "labels": {"batch.kubernetes.io/job-name": "study-r1"},
    },
    "spec": {"nodeName": "fake-1"},
    "status": {"podIP": "10.0.0.7"},
}
SOURCES = {("Secret", "keys"): {"id": "me", "secret": "s"}, ("ConfigMap", "site"): {"A": "1"}}


def variables(*env: dict[str, Any], **container: Any) -> dict[str, str]:
    return environment(POD, container={"env": env, **container}, sources=SOURCES)


def from_key(kind: str, **reference: Any) -> dict[str, Any]:
    return {"name": "X", "valueFrom": {kind: reference}}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)/$(B)", "1/2"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$$(A)", "$(A)"),
        ("$A", "$A"),
        ("kill $$$$", "kill $$"),
    ],
)
def test_references_are_expanded_as_kubernetes_does(text: str, expanded: str) -> None:
    assert expand(text, variables={"A": "1", "B": "2"}) == expanded


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "study-r1-3-x7"),
        (INDEX, "3"),
        ("metadata.labels['batch.kubernetes.io/job-name']", "study-r1"),
        ("metadata.labels['absent']", ""),
        ("spec.nodeName", "fake-1"),
        ("status.podIP", "10.0.0.7"),
    ],
)
def test_the_downward_api_reads_fields(path: str, value: str) -> None:
    assert field(POD, path=path) == value


def test_later_variables_see_earlier_ones_and_win_over_whole_sources() -> None:
    found = variables(
        {"name": "A", "value": "2"},
        {"name": "B", "value": "$(A)$(X_id)"},
        envFrom=[
            {"configMapRef": {"name": "site"}},
            {"secretRef": {"name": "keys"}, "prefix": "X_"},
        ],
    )

    assert found == {"A": "2", "X_id": "me", "X_secret": "s", "B": "2me"}


def test_a_secrets_key_is_read() -> None:
    assert variables(from_key("secretKeyRef", name="keys", key="id")) == {"X": "me"}


@pytest.mark.parametrize("reference", [{"name": "none", "key": "k"}, {"name": "keys", "key": "k"}])
def test_what_is_named_has_to_be_there_unless_optional(reference: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        variables(from_key("secretKeyRef", **reference))
    assert variables(from_key("secretKeyRef", **reference, optional=True)) == {}


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [
        ("limits.cpu", None, "2"),  # 1500m, rounded up
        ("limits.memory", "1Mi", "2048"),
        ("limits.nvidia.com/gpu", None, "1"),
    ],
)
def test_limits_are_read(resource: str, divisor: str | None, value: str) -> None:
    limits = {"cpu": "1500m", "memory": "2Gi", "nvidia.com/gpu": "1"}
    reference = {"resource": resource} | ({"divisor": divisor} if divisor else {})

    found = variables(from_key("resourceFieldRef", **reference), resources={"limits": limits})

    assert found == {"X": value}


def test_sources_are_named_once() -> None:
    container = {
        "envFrom": [{"secretRef": {"name": "keys"}}],
        "env": [
            from_key("secretKeyRef", name="keys", key="id"),
            from_key("configMapKeyRef", name="site", key="A"),
            {"name": "Y", "value": "plain"},
        ],
    }

    assert sources_named(container) == {("Secret", "keys"), ("ConfigMap", "site")}


def test_a_pods_command_takes_the_entrypoints_place_and_arguments_follow_either() -> None:
    known = {"A": "1"}

    assert command({}, entrypoint=["run"], variables=known) == ["run"]
    assert command({"args": ["$(A)"]}, entrypoint=["run"], variables=known) == ["run", "1"]
    assert command({"command": ["sh"]}, entrypoint=["run"], variables=known) == ["sh"]


@pytest.mark.parametrize(("returned", "code"), [(0, 0), (65, 65), (-15, 143), (-9, 137)])
def test_a_signal_is_told_as_128_and_its_number(returned: int, code: int) -> None:
    assert exit_code(returned) == code


def test_a_network_is_chosen_that_overlaps_none() -> None:
    wide = ["10.192.0.0/11", "10.224.0.0/12", "10.240.0.0/13", "10.249.0.0/16"]
    narrow = [f"10.248.{low}.0/24" for low in range(256) if low != 7]

    chosen = free_network([IPv4Network(each) for each in [*wide, *narrow]])

    assert chosen == IPv4Network("10.248.7.0/24")


def test_where_no_network_is_free_that_is_told() -> None:
    with pytest.raises(BedError, match="no network"):
        free_network([IPv4Network("10.0.0.0/8")])
