"""Say what happened to a pod, why, and what to do, from its status alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sweep.plan.exits import Exit, Verdict, verdict
from sweep.plan.manifest import CONTAINER

Body = Mapping[str, Any]

KILLED = 137  # 128 + SIGKILL

# What a waiting container's reason means, and what to do about it.
WAITING = {
    "ErrImagePull": "its image cannot be pulled: {message}; check hydra.launcher.image",
    "ImagePullBackOff": "its image cannot be pulled: {message}; check hydra.launcher.image, and "
    "hydra.launcher.pull_secrets for a private registry",
    "ErrImageNeverPull": "its image is not on the node, and hydra.launcher.pull_policy=Never",
    "InvalidImageName": "its image has no valid name: {message}; check hydra.launcher.image",
    "CreateContainerConfigError": "its container cannot be made: {message}; check the Secrets of "
    "hydra.launcher.env_from",
    "CreateContainerError": "its container cannot be made: {message}",
    "RunContainerError": "its container cannot be started: {message}",
}
DISRUPTIONS = {
    "PreemptionByScheduler": "preempted by a pod of higher priority",
    "DeletionByTaintManager": "its node was tainted, most often because it is lost",
    "EvictionByEvictionAPI": "evicted, as a drained node does",
    "DeletionByPodGC": "its node is gone",
    "TerminationByKubelet": "evicted by its node, which ran short or shut down",
}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a pod ended."""

    verdict: Verdict
    code: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a pod does not run yet; `kind` is the same for all pods that wait for the same."""

    kind: str
    text: str


def index_of(pod: Body) -> int | None:
    """Read the completion index of a Job's pod."""
    notes = pod["metadata"].get("annotations") or {}
    text = notes.get("batch.kubernetes.io/job-completion-index")
    return int(text) if text is not None else None


def running(pod: Body) -> bool:
    """Tell whether the trainer runs."""
    return bool(pod.get("status", {}).get("phase") == "Running")


def ended(pod: Body) -> Ended | None:
    """Judge a pod that is over; None while it is not."""
    status = pod.get("status", {})
    phase = status.get("phase")
    if phase not in ("Succeeded", "Failed"):
        return None
    state = _terminated(status)
    code = state.get("exitCode") if state else None
    name = f"pod {pod['metadata']['name']}"
    if phase == "Succeeded":
        return Ended(Verdict.DONE, 0, f"{name} is done")
    disruption = _condition(status, "DisruptionTarget")
    if disruption is not None and disruption.get("status") == "True":
        why = DISRUPTIONS.get(disruption.get("reason", ""), disruption.get("message", "disrupted"))
        return Ended(Verdict.AGAIN, code, f"{name}: {why}; it starts again")
    if state is None or code is None:
        why = status.get("message") or status.get("reason") or "it left no exit code"
        return Ended(Verdict.COUNT, None, f"{name}: {why}")
    return _by_code(name, state, code, pod)


def _by_code(name: str, state: Body, code: int, pod: Body) -> Ended:
    message = str(state.get("message") or "").strip()
    last = f": {message.splitlines()[-1]}" if message else ""
    if state.get("reason") == "OOMKilled" or code == KILLED:
        limit = _memory(pod)
        return Ended(
            Verdict.COUNT,
            code,
            f"{name}: container '{CONTAINER}' was killed for memory{limit}; raise "
            "hydra.launcher.resources.memory or lower hydra.launcher.pack.size",
        )
    judged = verdict(code)
    if code == Exit.STORE_AWAY:
        return Ended(judged, code, f"{name}: the store cannot be reached from it{last}")
    if code == Exit.TOLD_TO_STOP:
        return Ended(judged, code, f"{name} was told to stop, and kept what it had")
    if state.get("reason") in ("StartError", "ContainerCannotRun"):
        return Ended(judged, code, f"{name}: its container cannot be started{last}")
    return Ended(judged, code, f"{name} ended with exit code {code}{last}")


def waiting(pod: Body) -> Waiting | None:
    """Say why a pod does not run; None where nothing is wrong that can be told."""
    status = pod.get("status", {})
    if status.get("phase") != "Pending":
        return None
    scheduled = _condition(status, "PodScheduled")
    if scheduled is not None and scheduled.get("status") == "False":
        reason = scheduled.get("reason", "")
        if reason == "SchedulingGated":
            return Waiting("gated", "waits until its queue admits it")
        message = _short(scheduled.get("message", "no node takes it"))
        return Waiting(f"unschedulable {message}", f"no node takes it: {message}")
    for found in status.get("containerStatuses") or ():
        state = (found.get("state") or {}).get("waiting") or {}
        text = WAITING.get(state.get("reason", ""))
        if text:
            kind = "image" if "mage" in state["reason"] else state["reason"]
            return Waiting(kind, text.format(message=_short(state.get("message", ""))))
    return None


def stuck(pod: Body) -> bool:
    """Tell whether a pod was told to end and has not."""
    deleted = pod["metadata"].get("deletionTimestamp") is not None
    return deleted and ended(pod) is None


def failed_indexes(job: Body) -> frozenset[int]:
    """Read which indexes a Job gave up."""
    return indexes(job.get("status", {}).get("failedIndexes") or "")


def done_indexes(job: Body) -> frozenset[int]:
    """Read which indexes of a Job are complete."""
    return indexes(job.get("status", {}).get("completedIndexes") or "")


def indexes(text: str) -> frozenset[int]:
    """Read Kubernetes' short form of a set of indexes, such as 1,3-5."""
    return frozenset(_numbers(text))


def finished(job: Body) -> tuple[str, str] | None:
    """Return the condition by which a Job ended, with its message; None while it goes on."""
    for kind in ("Complete", "Failed"):
        found = _condition(job.get("status", {}), kind)
        if found is not None and found.get("status") == "True":
            return found.get("reason") or kind, found.get("message") or ""
    return None


def _numbers(text: str) -> Iterator[int]:
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _terminated(status: Body) -> Body | None:
    for found in status.get("containerStatuses") or ():
        if found.get("name") == CONTAINER:
            state: Body | None = (found.get("state") or {}).get("terminated")
            return state
    return None


def _condition(status: Body, kind: str) -> Body | None:
    found: Body | None = next(
        (entry for entry in status.get("conditions") or () if entry.get("type") == kind), None
    )
    return found


def _memory(pod: Body) -> str:
    for container in pod.get("spec", {}).get("containers") or ():
        limit = container.get("resources", {}).get("limits", {}).get("memory")
        if container.get("name") == CONTAINER and limit:
            return f" at {limit}"
    return ""


def _short(message: str, most: int = 200) -> str:
    # The scheduler adds what preemption would not help with, which says nothing new.
    text = re.split(r"\. preemption:", " ".join(message.split()))[0].rstrip(". ")
    return text if len(text) <= most else f"{text[: most - 3]}..."
