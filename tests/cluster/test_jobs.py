"""Kubernetes' own controllers take fake pods for real ones: Jobs end as they would on hardware."""

from __future__ import annotations

import time

import pytest
from kubernetes import client
from kubernetes.client import ApiClient, V1Job
from testbed.fake import FakeNodes
from testbed.waiting import until
from testbed.workloads import CONTAINER, make_job, make_pod

pytestmark = [pytest.mark.kube, pytest.mark.slow]

IGNORE_DISRUPTION = {
    "action": "Ignore",
    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
}
FAIL_INDEX_ON_65 = {
    "action": "FailIndex",
    "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": [65]},
}


@pytest.fixture
def batch(api_client: ApiClient) -> client.BatchV1Api:
    return client.BatchV1Api(api_client)


@pytest.fixture
def core(api_client: ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(api_client)


def ended(batch: client.BatchV1Api, namespace: str, *, within_s: float = 60.0) -> V1Job:
    def over(job: V1Job) -> bool:
        return any(
            each.type in ("Complete", "Failed") and each.status == "True"
            for each in job.status.conditions or ()
        )

    return until(lambda: batch.read_namespaced_job("job", namespace), holds=over, within_s=within_s)


def conditions(job: V1Job) -> dict[str, str]:
    return {each.type: each.reason for each in job.status.conditions}


def test_an_indexed_job_of_a_thousand_completes(
    fake_nodes: FakeNodes, namespace: str, batch: client.BatchV1Api
) -> None:
    fake_nodes.add(10, cpu="64")
    started = time.monotonic()

    batch.create_namespaced_job(
        namespace, make_job(make_pod(plays="exit"), completions=1000, parallelism=200)
    )
    job = ended(batch, namespace, within_s=200)

    print(f"1,000 pods in {time.monotonic() - started:.1f} s")
    assert (job.status.succeeded, job.status.completed_indexes) == (1000, "0-999")
    assert conditions(job) == {
        "SuccessCriteriaMet": "CompletionsReached",
        "Complete": "CompletionsReached",
    }


def test_fail_index_gives_up_one_index_alone(
    fake_nodes: FakeNodes, namespace: str, batch: client.BatchV1Api
) -> None:
    fake_nodes.add()
    two_fails = make_pod(command=["sh", "-c", '[ "$JOB_COMPLETION_INDEX" != 2 ] || exit 65'])

    batch.create_namespaced_job(
        namespace,
        make_job(
            two_fails,
            completions=4,
            backoffLimitPerIndex=3,
            podFailurePolicy={"rules": [IGNORE_DISRUPTION, FAIL_INDEX_ON_65]},
        ),
    )
    job = ended(batch, namespace)

    assert (job.status.completed_indexes, job.status.failed_indexes) == ("0,1,3", "2")
    assert job.status.failed == 1
    assert conditions(job)["Failed"] == "FailedIndexes"


def test_an_ignored_disruption_costs_no_retry(
    fake_nodes: FakeNodes, namespace: str, batch: client.BatchV1Api, core: client.CoreV1Api
) -> None:
    fake_nodes.add()
    batch.create_namespaced_job(
        namespace,
        make_job(
            make_pod(command=["sleep", "3"]),
            backoffLimit=0,
            podFailurePolicy={"rules": [IGNORE_DISRUPTION]},
        ),
    )
    first = running_pod(core, namespace)

    fake_nodes.make(first, namespace=namespace, play="Evicted")
    second = running_pod(core, namespace, other_than=first)
    job = ended(batch, namespace)

    assert second != first
    assert "Complete" in conditions(job)


def test_without_the_policy_the_same_disruption_fails_the_job(
    fake_nodes: FakeNodes, namespace: str, batch: client.BatchV1Api, core: client.CoreV1Api
) -> None:
    fake_nodes.add()
    batch.create_namespaced_job(
        namespace, make_job(make_pod(command=["sleep", "60"]), backoffLimit=0)
    )

    fake_nodes.make(running_pod(core, namespace), namespace=namespace, play="Evicted")
    job = ended(batch, namespace)

    assert conditions(job)["Failed"] == "BackoffLimitExceeded"


def running_pod(core: client.CoreV1Api, namespace: str, *, other_than: str = "") -> str:
    def names() -> list[str]:
        pods = core.list_namespaced_pod(namespace, field_selector="status.phase=Running").items
        return [each.metadata.name for each in pods if each.metadata.name != other_than]

    return until(names, holds=bool)[0]
