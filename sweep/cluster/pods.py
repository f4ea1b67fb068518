"""Read what pods print, as they print it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping

from sweep.cluster.api import Api, Away, Refused
from sweep.cluster.kubernetes import PODS
from sweep.plan.diagnosis import index_of
from sweep.plan.manifest import CONTAINER, job_name

QUIET_S = 3600.0  # a trainer may say nothing for an epoch


def pods_of(api: Api, study: str, round_: int) -> dict[int, str]:
    """Map the indexes of a round to the names of their newest pods.

    Raises Refused, Away.
    """
    selector = f"batch.kubernetes.io/job-name={job_name(study, round_)}"
    found, _ = api.list(PODS, selector=selector)
    found.sort(key=lambda pod: pod["metadata"]["creationTimestamp"])
    return {
        index: pod["metadata"]["name"]
        for pod in found
        if pod["status"].get("phase") != "Pending" and (index := index_of(pod)) is not None
    }


def tail(api: Api, pod: str, *, follow: bool) -> Iterator[str]:
    """Yield what a pod printed, and with `follow` what it prints until it ends."""
    try:
        for line in api.lines(
            f"{PODS}/{pod}/log", timeout_s=QUIET_S, container=CONTAINER, follow=follow
        ):
            yield line.decode(errors="replace")
    except Refused as error:
        if error.status != 404:  # deleted meanwhile: the store has the rest
            raise
    except Away as error:
        yield f"({error})"


def follow_all(api: Api, pods: Mapping[int, str]) -> Iterator[tuple[int, str]]:
    """Yield (index, line) of several pods as they print, until all have ended."""
    lines: queue.Queue[tuple[int, str] | None] = queue.Queue()

    def read(index: int, pod: str) -> None:
        try:
            for line in tail(api, pod, follow=True):
                lines.put((index, line))
        finally:
            lines.put(None)

    for index, pod in pods.items():
        threading.Thread(target=read, args=(index, pod), daemon=True).start()
    left = len(pods)
    while left:
        line = lines.get()
        if line is None:
            left -= 1
        else:
            yield line
