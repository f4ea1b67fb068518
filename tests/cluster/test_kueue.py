"""Kueue decides when a Job runs: it resumes what fits, and takes back what no longer does."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes import client
from kubernetes.client import ApiClient, ApiException, V1Job
from testbed.fake import FakeNodes
from testbed.kueue import Kueue
from testbed.levers import killed
from testbed.waiting import until
from testbed.workloads import make_job, make_pod

pytestmark = [pytest.mark.kueue, pytest.mark.slow]

ONE_CPU = {"cpu": "1", "memory": "1Gi"}
ROOM_FOR_ONE = {"cpu": "1", "memory": "8Gi"}
ROOM_FOR_TWO = {"cpu": "2", "memory": "8Gi"}


@pytest.fixture
def batch(api_client: ApiClient) -> client.BatchV1Api:
    return client.BatchV1Api(api_client)


def queued(name: str, *, queue: str = "team", plays: str = "hang") -> dict[str, Any]:
    """Build a Job for a queue, as a client does: suspended."""
    pod = make_pod(plays=plays, resources=ONE_CPU, grace_s=0)
    job = make_job(pod, name=name, suspend=True)
    job["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": queue}
    return job


def runs(batch: client.BatchV1Api, namespace: str, name: str) -> V1Job:
    return until(
        lambda: batch.read_namespaced_job(name, namespace), holds=lambda job: job.status.active
    )


def running_pods(batch: client.BatchV1Api, namespace: str) -> set[str]:
    pods = client.CoreV1Api(batch.api_client).list_namespaced_pod(namespace).items
    return {pod.metadata.uid for pod in pods if not pod.metadata.deletion_timestamp}


def reserved(kueue: Kueue, namespace: str, job: str) -> dict[str, str]:
    """Read Kueue's word on a Job's quota: status, reason and message; empty before it has one."""
    for workload in kueue.workloads(namespace):
        (owner,) = workload["metadata"]["ownerReferences"]
        for each in workload.get("status", {}).get("conditions", ()):
            if owner["name"] == job and each["type"] == "QuotaReserved":
                return {key: each[key] for key in ("status", "reason", "message")}
    return {}


def waits(kueue: Kueue, namespace: str, job: str, *, because: str) -> None:
    until(
        lambda: reserved(kueue, namespace, job),
        holds=lambda word: word.get("status") == "False" and because in word["message"],
    )


def test_a_job_waits_until_its_queue_exists(
    kueue: Kueue, fake_nodes: FakeNodes, namespace: str, batch: client.BatchV1Api
) -> None:
    fake_nodes.add()
    batch.create_namespaced_job(namespace, queued("job", plays="exit"))
    waits(kueue, namespace, "job", because="LocalQueue team doesn't exist")
    suspended = batch.read_namespaced_job("job", namespace)

    kueue.add_queue("team", namespace=namespace, quota=ROOM_FOR_ONE)

    assert suspended.spec.suspend
    until(
        lambda: batch.read_namespaced_job("job", namespace), holds=lambda job: job.status.succeeded
    )


def test_what_exceeds_the_quota_runs_once_there_is_room(
    kueue: Kueue, fake_nodes: FakeNodes, namespace: str, batch: client.BatchV1Api
) -> None:
    fake_nodes.add()
    kueue.add_queue("team", namespace=namespace, quota=ROOM_FOR_ONE)
    batch.create_namespaced_job(namespace, queued("first"))
    runs(batch, namespace, "first")
    batch.create_namespaced_job(namespace, queued("second"))
    waits(kueue, namespace, "second", because="insufficient unused quota for cpu")

    batch.delete_namespaced_job("first", namespace, propagation_policy="Foreground")

    runs(batch, namespace, "second")


def test_a_greater_quota_admits_what_waits(
    kueue: Kueue, fake_nodes: FakeNodes, namespace: str, batch: client.BatchV1Api
) -> None:
    fake_nodes.add()
    kueue.add_queue("team", namespace=namespace, quota=ROOM_FOR_ONE)
    for name in ("first", "second"):
        batch.create_namespaced_job(namespace, queued(name))
    runs(batch, namespace, "first")
    waits(kueue, namespace, "second", because="insufficient")

    kueue.set_quota("team", namespace=namespace, quota=ROOM_FOR_TWO)

    runs(batch, namespace, "second")


def test_a_job_of_no_queue_is_left_alone(
    kueue: Kueue, fake_nodes: FakeNodes, namespace: str, batch: client.BatchV1Api
) -> None:
    fake_nodes.add()

    batch.create_namespaced_job(namespace, make_job(make_pod(plays="hang", grace_s=0)))

    runs(batch, namespace, "job")
    assert not kueue.workloads(namespace)


def test_kueue_resumes_what_another_suspends(
    kueue: Kueue, fake_nodes: FakeNodes, namespace: str, batch: client.BatchV1Api
) -> None:
    fake_nodes.add()
    kueue.add_queue("team", namespace=namespace, quota=ROOM_FOR_ONE)
    batch.create_namespaced_job(namespace, queued("job"))
    runs(batch, namespace, "job")
    first = running_pods(batch, namespace)

    batch.patch_namespaced_job("job", namespace, {"spec": {"suspend": True}})

    until(lambda: running_pods(batch, namespace), holds=lambda pods: pods and pods != first)


def test_a_queue_that_is_held_takes_its_jobs_back(
    kueue: Kueue, fake_nodes: FakeNodes, namespace: str, batch: client.BatchV1Api
) -> None:
    fake_nodes.add()
    kueue.add_queue("team", namespace=namespace, quota=ROOM_FOR_ONE)
    batch.create_namespaced_job(namespace, queued("job"))
    runs(batch, namespace, "job")

    kueue.hold("team", namespace=namespace)
    until(
        lambda: batch.read_namespaced_job("job", namespace),
        holds=lambda job: job.spec.suspend and not job.status.active,
    )
    kueue.go_on("team", namespace=namespace)

    runs(batch, namespace, "job")


def test_while_kueue_is_away_no_job_is_taken(
    kueue: Kueue, fake_nodes: FakeNodes, namespace: str, batch: client.BatchV1Api
) -> None:
    fake_nodes.add()
    kueue.add_queue("team", namespace=namespace, quota=ROOM_FOR_ONE)

    with killed(kueue.process), pytest.raises(ApiException) as refused:
        batch.create_namespaced_job(namespace, queued("early"))
    batch.create_namespaced_job(namespace, queued("late"))

    assert refused.value.status == 500
    assert "failed calling webhook" in refused.value.body
    runs(batch, namespace, "late")
