"""A pod's status says what happened; diagnosis says it in words."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.plan.diagnosis import ended, failed_indexes, finished, indexes, stuck, waiting
from sweep.plan.exits import Verdict


def make_pod(phase: str, *, deleted: bool = False, **status: Any) -> dict[str, Any]:
    limits = {"limits": {"memory": "8Gi"}}
    metadata = {"name": "forecast-0-x", "uid": "u"}
    if deleted:
        metadata["deletionTimestamp"] = "2026-11-22T00:00:00Z"
    return {
        "metadata": metadata,
        "spec": {"containers": [{"name": "trainer", "resources": limits}]},
        "status": {"phase": phase, **status},
    }


def over(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    state = {"terminated": {"exitCode": code, "reason": reason, "message": message}}
    return {"containerStatuses": [{"name": "trainer", "state": state}]}


@pytest.mark.parametrize(
    ("status", "verdict", "told"),
    [
        (over(137, "OOMKilled"), Verdict.COUNT, "killed for memory at 8Gi; raise"),
        (over(1, message="x\nValueError: no"), Verdict.COUNT, "exit code 1: ValueError: no"),
        (over(143), Verdict.AGAIN, "told to stop"),
        (over(69, message="s3 away"), Verdict.AGAIN, "store cannot be reached from it: s3 away"),
        (over(64, message="no such task"), Verdict.FAIL_ROUND, "no such task"),
        (over(65), Verdict.FAIL_PACK, "exit code 65"),
        (over(128, "StartError", "no such file"), Verdict.COUNT, "cannot be started: no such file"),
        ({"reason": "Evicted", "message": "disk"}, Verdict.COUNT, "disk"),
    ],
)
def test_an_end_is_judged_and_explained(
    status: dict[str, Any], verdict: Verdict, told: str
) -> None:
    end = ended(make_pod("Failed", **status))

    assert end is not None
    assert end.verdict is verdict
    assert told in end.text


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("PreemptionByScheduler", "preempted"),
        ("DeletionByTaintManager", "tainted"),
        ("EvictionByEvictionAPI", "evicted"),
        ("SomethingNew", "its own words"),
    ],
)
def test_a_disruption_is_nobodys_fault_whatever_the_code(reason: str, told: str) -> None:
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": reason,
        "message": "its own words",
    }

    end = ended(make_pod("Failed", conditions=[condition], **over(1)))

    assert end is not None
    assert end.verdict is Verdict.AGAIN
    assert told in end.text


def test_a_pod_that_runs_has_not_ended() -> None:
    assert ended(make_pod("Running")) is None


def test_a_pod_on_a_silent_node_is_stuck() -> None:
    assert stuck(make_pod("Running", deleted=True))
    assert not stuck(make_pod("Running"))
    assert not stuck(make_pod("Failed", deleted=True, **over(1)))


def test_pods_that_lack_the_same_resource_wait_for_one_reason() -> None:
    message = (
        "0/2 nodes are available: 2 Insufficient nvidia.com/gpu. preemption: 0/2 nodes are "
        "available: 2 No preemption victims found for incoming pod."
    )
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
    }

    found = waiting(make_pod("Pending", conditions=[condition]))

    assert found is not None
    assert found.text == (
        "no node takes it: 0/2 nodes are available: 2 Insufficient nvidia.com/gpu"
    )


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff"])
def test_an_image_that_cannot_be_pulled_is_one_reason_in_all_its_stages(reason: str) -> None:
    state = {"waiting": {"reason": reason, "message": "not found"}}

    found = waiting(make_pod("Pending", containerStatuses=[{"name": "trainer", "state": state}]))

    assert found is not None
    assert found.kind == "image"
    assert "hydra.launcher.image" in found.text


def test_a_pod_that_is_about_to_start_waits_for_nothing_worth_a_line() -> None:
    state = {"waiting": {"reason": "ContainerCreating"}}

    assert waiting(make_pod("Pending", containerStatuses=[{"name": "t", "state": state}])) is None


@pytest.mark.parametrize(
    ("text", "numbers"), [("", set()), ("3", {3}), ("0,2-4,9", {0, 2, 3, 4, 9})]
)
def test_a_set_of_indexes_is_read(text: str, numbers: set[int]) -> None:
    assert indexes(text) == numbers


def test_a_job_is_judged_by_its_conditions() -> None:
    going = {"type": "SuccessCriteriaMet", "status": "True", "reason": "CompletionsReached"}
    failed = {"type": "Failed", "status": "True", "reason": "FailedIndexes", "message": "m"}

    assert finished({"status": {"conditions": [going]}}) is None
    assert finished({"status": {"conditions": [going, failed]}}) == ("FailedIndexes", "m")
    assert failed_indexes({"status": {"failedIndexes": "1,3"}}) == {1, 3}
