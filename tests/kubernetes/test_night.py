"""What a night's Job makes of its pod's end: a regression fails it, an outage starts it again."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from clients import wait_until
from installed import CHART
from kubernetes import client
from kubernetes.client import ApiClient
from release_objects import objects
from testbed.fake import FakeNodes
from testbed.helm import programs
from testbed.pods import Pods, conditions

pytestmark = pytest.mark.kube

VALUES = ("image=i", "client.image=c", "nightly.enabled=true", "nightly.gate.enabled=false")


@pytest.fixture
def night(api_client: ApiClient, fake_nodes: FakeNodes, namespace: str) -> Pods:
    """Give a namespace in which a night may run, on a node that plays its pods."""
    fake_nodes.add(1, cpu="4")
    for body in objects("accounts.yaml"):
        client.CoreV1Api(api_client).create_namespaced_service_account(namespace, body)
    return Pods(api_client, namespace)


def test_a_regression_fails_the_night_without_another_pod(night: Pods) -> None:
    begin(night, ends_with=4)

    ended = night.wait_job("night", lambda status: "Failed" in conditions(status))

    assert conditions(ended)["Failed"] == "PodFailurePolicy"
    assert len(night.of_job("night")) == 1


def test_a_store_that_is_away_has_the_night_begun_again(night: Pods) -> None:
    begin(night, ends_with=3)

    wait_until(lambda: len(night.of_job("night")) > 1)

    assert "Failed" not in conditions(night.read_job("night").status)


def begin(night: Pods, *, ends_with: int) -> None:
    """Start a night of the chart's, whose pod ends at once."""
    words = [word for each in VALUES for word in ("--set", each)]
    rendered = programs().run("template", "r", CHART, "--namespace", night.namespace, *words)
    (cron,) = [b for b in yaml.safe_load_all(rendered) if b and b["kind"] == "CronJob"]
    spec: dict[str, Any] = cron["spec"]["jobTemplate"]["spec"]
    plays = {"testbed/plays": "exit", "testbed/exit-code": str(ends_with)}
    spec["template"]["metadata"]["annotations"] = plays
    night.create_job({"metadata": {"name": "night"}, "spec": spec})
