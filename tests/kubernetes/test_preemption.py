"""A pod of higher priority takes the place of one of ours, which goes on once there is room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clients import finish
from kubernetes import client
from on_cluster import OnCluster
from testbed.waiting import until
from testbed.workloads import make_pod

from sweep.plan.trial import State

pytestmark = [pytest.mark.kube, pytest.mark.stack]

WHOLE_NODE = "16"  # CPUs, of on_cluster's nodes


@pytest.fixture
def priorities(on_cluster: OnCluster) -> Iterator[tuple[str, str]]:
    """Name two priority classes of this test's own, the lower one first."""
    scheduling = client.SchedulingV1Api(on_cluster.client)
    low, high = f"low-{on_cluster.namespace}", f"high-{on_cluster.namespace}"
    for name, value in ((low, 1), (high, 1000)):
        scheduling.create_priority_class({"metadata": {"name": name}, "value": value})
    yield low, high
    for name in (low, high):
        scheduling.delete_priority_class(name)


def test_a_preempted_pod_starts_again_and_is_not_counted(
    on_cluster: OnCluster, priorities: tuple[str, str]
) -> None:
    low, high = priorities
    study = on_cluster.place.start(
        "x=1,2",
        "epoch_s=2",
        "hydra.launcher.pack.size=1",
        "hydra.launcher.max_attempts=1",  # a single counted end would fail its trial
        "hydra.launcher.grace_s=5",
        f"hydra.launcher.priority_class={low}",
        f"hydra.launcher.resources.cpu={WHOLE_NODE}",
    )
    on_cluster.wait(lambda: on_cluster.place.planned() and len(on_cluster.place.begun()) == 2)

    urgent = make_pod(
        "urgent", plays="exit", after="1s", resources={"cpu": WHOLE_NODE}, priorityClassName=high
    )
    on_cluster.core.create_namespaced_pod(on_cluster.namespace, urgent)
    preempted = until(lambda: _reasons(on_cluster), holds=lambda found: "Preempted" in found)
    ended = finish(study, within_s=240)

    assert preempted["Preempted"] == "Pod"
    assert ended.code == 0, ended.out + ended.err
    records = on_cluster.place.records()
    assert {n: r.state for n, r in records.items()} == dict.fromkeys(range(2), State.COMPLETED)
    assert on_cluster.place.ended() == [0, 1]
    assert sorted(on_cluster.place.begun().values()) == [1, 2]
    (job,) = on_cluster.jobs()
    assert not job.status.failed_indexes


def _reasons(on_cluster: OnCluster) -> dict[str, str]:
    events = on_cluster.core.list_namespaced_event(on_cluster.namespace).items
    return {event.reason: event.involved_object.kind for event in events}
