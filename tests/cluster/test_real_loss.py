"""Nodes that lose their power or their network, and what a Job makes of it."""

from __future__ import annotations

import pytest
from testbed.pods import Pods, container, indexed_job, pod_spec
from testbed.real import RealNodes
from testbed.waiting import until

pytestmark = [pytest.mark.node, pytest.mark.slow]

IGNORE_DISRUPTION = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
RULES = {"backoffLimitPerIndex": 3, "podFailurePolicy": {"rules": [IGNORE_DISRUPTION]}}
COUNT = ["sh", "-c", "n=0; while :; do echo $n; n=$((n+1)); sleep 1; done"]


def start_job(pods: Pods) -> tuple[str, str]:
    """Start a Job of one pod; return the names of the pod and of its node."""
    pods.create_job(indexed_job("j", pod_spec(container(COUNT)), completions=1, **RULES))
    name = pods.wait_pod_of("j")
    return name, str(pods.wait_running(name).spec.node_name)


def wait_deleted(pods: Pods, name: str) -> None:
    """Wait until a pod is asked to go, as those of a silent node are."""
    until(lambda: pods.read(name).metadata, holds=lambda its: its.deletion_timestamp, within_s=90)


def test_a_pod_of_a_dead_node_is_replaced_only_when_the_node_is_back(
    pods: Pods, real_nodes: RealNodes
) -> None:
    first, node = start_job(pods)

    with real_nodes.down(node):
        wait_deleted(pods, first)
        pods.wait_job("j", lambda status: status.terminating == 1 and not status.active)
        assert len(pods.of_job("j")) == 1

    second = pods.wait_pod_of("j", other_than=first)
    pods.wait_running(second)
    assert not pods.read_job("j").status.failed_indexes


def test_a_node_that_reboots_quickly_costs_its_pod_an_ordinary_failure(
    pods: Pods, real_nodes: RealNodes
) -> None:
    first, node = start_job(pods)

    with real_nodes.down(node):
        pass

    pods.wait_running(pods.wait_pod_of("j", other_than=first))
    pods.wait_job("j", lambda status: status.failed == 1)


def test_a_container_of_a_node_that_is_cut_off_goes_on(pods: Pods, real_nodes: RealNodes) -> None:
    first, node = start_job(pods)

    with real_nodes.cut_off(node):
        wait_deleted(pods, first)
        log = real_nodes[node].log_of(pods.namespace, first)
        known = log.read_text()
        until(log.read_text, holds=lambda text: text != known)

    pods.wait_running(pods.wait_pod_of("j", other_than=first))
