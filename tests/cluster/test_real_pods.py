"""Pods on real nodes: restricted, with logs, commands, Services and names."""

from __future__ import annotations

import pytest
from kubernetes.client import ApiException
from testbed.pods import Pods, container, pod_spec

pytestmark = [pytest.mark.node, pytest.mark.slow]


def test_a_restricted_pod_runs_and_its_logs_can_be_read(pods: Pods) -> None:
    pods.create("one", pod_spec(container(["sh", "-c", "id -u; echo done"])))

    ended = pods.wait_ended("one")

    assert ended.status.phase == "Succeeded"
    assert pods.logs("one").split() == ["10001", "done"]


def test_a_command_runs_in_a_running_pod(pods: Pods) -> None:
    pods.create("one", pod_spec(container(["sleep", "600"])))
    pods.wait_running("one")

    assert pods.execute("one", "cat", "/proc/1/cmdline") .split("\0")[:2] == ["sleep", "600"]


def test_a_pod_as_root_is_refused(pods: Pods) -> None:
    spec = pod_spec(container(["true"]))
    spec["securityContext"] |= {"runAsNonRoot": False, "runAsUser": 0}

    with pytest.raises(ApiException, match="violates PodSecurity") as refused:
        pods.create("root", spec)

    assert refused.value.status == 403
