"""Say what a Job waits for in its queue, as far as Kueue and the Role let us know."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from sweep.cluster.api import Api, Body, Refused
from sweep.plan.manifest import QUEUE_LABEL

GROUP = "kueue.x-k8s.io"
JOB_UID = f"{GROUP}/job-uid"  # label by which Kueue marks the Workload of a Job
TOLD_AFTER_S = 5.0  # a shorter wait is no news
_NUMBERS = re.compile(r"\d+")


@dataclass
class Line:
    """One Job's wait in a queue, "" for none; what is worth telling of it is told once.

    Kueue admits a Job by resuming it: that is read from the Job itself, the reason of the wait
    from its Workload, where that may be read.
    """

    queue: str = ""
    waits_since: float | None = None
    why: str = ""
    _told: set[str] = field(default_factory=set)  # of this wait

    def take_job(self, job: Body, *, now: float) -> None:
        """Learn whether the Job is suspended."""
        if not self.queue or not job["spec"].get("suspend"):
            self.waits_since = None
        elif self.waits_since is None:
            self.waits_since = now

    def take_workloads(self, workloads: Sequence[Body]) -> None:
        """Learn what Kueue says of it, in the Workload that it made of the Job."""
        for workload in workloads:
            self.why = waits_for(workload)

    def news(self, *, now: float) -> str | None:
        """Return what a person should know now."""
        if self.waits_since is None:
            told, self._told = bool(self._told), set()
            return f"queue {self.queue} admitted the Job" if told else None
        if not self.why and (self._told or now - self.waits_since < TOLD_AFTER_S):
            return None
        kind = _NUMBERS.sub("", self.why)  # "1 more needed" is no news after "2 more needed"
        if kind in self._told:
            return None
        self._told.add(kind)
        return f"the Job waits in queue {self.queue}" + (f": {self.why}" if self.why else "")


def waits_for(workload: Body) -> str:
    """Read why a Workload has not been admitted; empty where it has, or Kueue does not say."""
    conditions = {
        found["type"]: found for found in (workload.get("status") or {}).get("conditions") or ()
    }
    if _holds(conditions.get("Admitted")) or _holds(conditions.get("Finished")):
        return ""
    reserved = conditions.get("QuotaReserved")
    if _holds(reserved):
        return "its quota is reserved, and an admission check is not through"
    return " ".join(str((reserved or {}).get("message", "")).split()).rstrip(".")


def queue_of(job: Body) -> str | None:
    """Read the queue that a Job was given to."""
    found: str | None = (job["metadata"].get("labels") or {}).get(QUEUE_LABEL)
    return found


def workloads_path(api: Api) -> str | None:
    """Name where Kueue's Workloads are, in the version that this cluster prefers; None without it.

    Raises Refused, Away.
    """
    try:
        found = api.get(f"/apis/{GROUP}")
    except Refused as error:
        if error.status == 404:
            return None
        raise
    return f"{GROUP}_{found['preferredVersion']['version']}/workloads"


def _holds(condition: Body | None) -> bool:
    return condition is not None and condition.get("status") == "True"
