"""Fake nodes are nodes to scheduler and controllers: full, tainted, lost and found again."""

from __future__ import annotations

from typing import Literal

import psutil
import pytest
from kubernetes import client
from kubernetes.client import ApiClient, V1Pod
from testbed.fake import FakeNodes
from testbed.waiting import until
from testbed.workloads import make_job, make_pod

pytestmark = [pytest.mark.kube, pytest.mark.slow]

GPU = "nvidia.com/gpu"
FOR_GPUS = {"key": GPU, "value": "present", "effect": "NoSchedule"}
BEATS = "echo up; while :; do echo beat; sleep 0.1; done"


@pytest.fixture
def core(api_client: ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(api_client)


def pods(core: client.CoreV1Api, namespace: str, phase: str) -> list[V1Pod]:
    found: list[V1Pod] = core.list_namespaced_pod(namespace).items
    return [each for each in found if each.status.phase == phase]


def node_of_the_running_pod(core: client.CoreV1Api, namespace: str) -> str:
    found = until(lambda: pods(core, namespace, "Running"), holds=bool)
    return str(found[0].spec.node_name)


def conditions(pod: V1Pod) -> dict[str, tuple[str, str]]:
    return {each.type: (each.status, each.reason) for each in pod.status.conditions or ()}


def test_gpus_are_counted(fake_nodes: FakeNodes, core: client.CoreV1Api, namespace: str) -> None:
    fake_nodes.add(2, gpus=2)
    for number in range(5):
        pod = make_pod(f"pod-{number}", plays="hang", resources={GPU: "1"}, grace_s=0)
        core.create_namespaced_pod(namespace, pod)

    until(lambda: pods(core, namespace, "Running"), holds=lambda found: len(found) == 4)
    (left,) = until(
        lambda: pods(core, namespace, "Pending"),
        holds=lambda found: len(found) == 1 and "PodScheduled" in conditions(found[0]),
    )

    assert conditions(left)["PodScheduled"] == ("False", "Unschedulable")


def test_a_tainted_node_takes_only_who_tolerates_it(
    fake_nodes: FakeNodes, core: client.CoreV1Api, namespace: str
) -> None:
    fake_nodes.add(taints=[FOR_GPUS])
    core.create_namespaced_pod(namespace, make_pod("refused", plays="hang", grace_s=0))
    tolerant = make_pod("taken", plays="hang", grace_s=0, tolerations=[{"key": GPU}])
    tolerant["spec"]["tolerations"][0]["operator"] = "Exists"
    core.create_namespaced_pod(namespace, tolerant)

    (taken,) = until(lambda: pods(core, namespace, "Running"), holds=bool)
    (refused,) = until(
        lambda: pods(core, namespace, "Pending"),
        holds=lambda found: len(found) == 1 and "PodScheduled" in conditions(found[0]),
    )

    assert taken.metadata.name == "taken"
    assert "untolerated taint" in refused.status.conditions[0].message


def test_labels_choose_a_node(
    fake_nodes: FakeNodes, core: client.CoreV1Api, namespace: str
) -> None:
    fake_nodes.add(2)
    (chosen,) = fake_nodes.add(labels={"gpu": "h100"})

    core.create_namespaced_pod(
        namespace, make_pod(plays="hang", grace_s=0, nodeSelector={"gpu": "h100"})
    )

    assert node_of_the_running_pod(core, namespace) == chosen


@pytest.mark.parametrize("processes", ["go on", "end"])
def test_a_lost_nodes_pod_is_told_to_end_and_not_replaced(
    fake_nodes: FakeNodes,
    core: client.CoreV1Api,
    namespace: str,
    processes: Literal["go on", "end"],
) -> None:
    fake_nodes.add(2)
    batch = client.BatchV1Api(core.api_client)
    pod = make_pod(command=["sleep", "600"], grace_s=1)
    batch.create_namespaced_job(namespace, make_job(pod, podReplacementPolicy="Failed"))

    fake_nodes.lose(node_of_the_running_pod(core, namespace), processes=processes)

    (deleted,) = until(
        lambda: pods(core, namespace, "Running"),
        holds=lambda found: found[0].metadata.deletion_timestamp,
    )
    assert conditions(deleted)["DisruptionTarget"] == ("True", "DeletionByTaintManager")
    job = until(
        lambda: batch.read_namespaced_job("job", namespace),
        holds=lambda job: job.status.terminating,
    )
    assert (job.status.active, job.status.terminating, job.status.failed) == (None, 1, None)


@pytest.mark.parametrize(("processes", "code"), [("go on", 143), ("end", 255)])
def test_a_node_that_comes_back_tells_what_became_of_its_pods(
    fake_nodes: FakeNodes,
    core: client.CoreV1Api,
    namespace: str,
    processes: Literal["go on", "end"],
    code: int,
) -> None:
    fake_nodes.add(2)  # where all nodes are lost the controllers suspect themselves and wait
    pod = make_pod(command=["sleep", "600"], grace_s=5)
    pod["metadata"]["finalizers"] = ["testbed/kept"]
    core.create_namespaced_pod(namespace, pod)
    node = node_of_the_running_pod(core, namespace)
    fake_nodes.lose(node, processes=processes)
    until(
        lambda: core.read_namespaced_pod("pod", namespace),
        holds=lambda pod: pod.metadata.deletion_timestamp,
    )

    fake_nodes.bring_back(node)

    (failed,) = until(lambda: pods(core, namespace, "Failed"), holds=bool)
    assert failed.status.container_statuses[0].state.terminated.exit_code == code
    core.patch_namespaced_pod("pod", namespace, {"metadata": {"finalizers": None}})


def test_a_pod_cut_off_goes_on_writing_though_its_object_is_gone(
    fake_nodes: FakeNodes, core: client.CoreV1Api, namespace: str
) -> None:
    fake_nodes.add()
    core.create_namespaced_pod(namespace, make_pod(command=["sh", "-c", BEATS, namespace]))
    node = node_of_the_running_pod(core, namespace)
    log = until(lambda: fake_nodes.logs("pod", namespace=namespace), holds=bool)[0]
    fake_nodes.lose(node, processes="go on")

    core.delete_namespaced_pod("pod", namespace, grace_period_seconds=0)
    beats = log.read_text().count("beat")
    until(lambda: log.read_text().count("beat"), holds=lambda found: found > beats + 5)
    fake_nodes.bring_back(node)

    until(lambda: processes_of(namespace), holds=lambda found: not found)


def processes_of(namespace: str) -> list[int]:
    """Find processes whose words hold the namespace's name."""
    return [
        each.pid
        for each in psutil.process_iter(["cmdline"])
        if namespace in " ".join(each.info["cmdline"] or ())
    ]
