"""Say what a Job waits for in its queue, as far as Kueue and the Role let us know."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from sweep.cluster.api import Api, Away, Body, Refused
from sweep.plan.manifest import QUEUE_LABEL

GROUP = "kueue.x-k8s.io"
VISIBILITY = f"visibility.{GROUP}"  # an API of Kueue's own, which a cluster may lack
JOB_UID = f"{GROUP}/job-uid"  # label by which Kueue marks the Workload of a Job
TOLD_AFTER_S = 5.0  # a shorter wait is no news
ASK_EVERY_S, ANSWER_S = 10.0, 5.0
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
    before: int | None = None  # Jobs that come first, where Kueue tells
    _told: set[tuple[str, int | None]] = field(default_factory=set)  # of this wait

    def take_job(self, job: Body, *, now: float) -> None:
        """Learn whether the Job is suspended."""
        if not self.queue or not job["spec"].get("suspend"):
            self.waits_since = self.before = None
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
        # "1 more needed" is no news after "2 more needed"; another place in the line is.
        kind = (_NUMBERS.sub("", self.why), self.before)
        if kind in self._told:
            return None
        self._told.add(kind)
        place = "" if self.before is None else f", {_others(self.before)} before it"
        return f"the Job waits in queue {self.queue}{place}" + (f": {self.why}" if self.why else "")


@dataclass
class Places:
    """Ask Kueue now and then for the place of a Job in its queue, as long as it answers."""

    api: Api
    queue: str
    uid: str  # of the Job
    _next: float = 0.0
    _path: str | None = None

    def ask(self, *, now: float) -> int | None:
        """Count the Jobs that come first; None where it is not time, or not known."""
        if now < self._next:
            return None
        self._next = now + ASK_EVERY_S
        try:
            self._path = self._path or self._find()
            found = self.api.get(self._path, timeout_s=ANSWER_S)
        except Refused as error:
            if self._path is None or error.status != 404:  # no such API, or not for us to ask
                self._next = math.inf
            return None  # else the queue is not there yet
        except Away:
            return None
        return place_of(found, uid=self.uid)

    def _find(self) -> str:
        version = self.api.get(f"/apis/{VISIBILITY}", timeout_s=ANSWER_S)["preferredVersion"]
        return f"{VISIBILITY}_{version['version']}/localqueues/{self.queue}/pendingworkloads"


def place_of(summary: Body, *, uid: str) -> int | None:
    """Read how many Workloads come before that of a Job; None where it is not there.

    Those that share the quota count, whichever LocalQueue they were given to.
    """
    for workload in summary.get("items") or ():
        owners = workload["metadata"].get("ownerReferences") or ()
        if any(owner.get("uid") == uid for owner in owners):
            return int(workload.get("positionInClusterQueue", 0))
    return None


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


def _others(count: int) -> str:
    return {0: "none", 1: "1 other"}.get(count, f"{count} others")


def _holds(condition: Body | None) -> bool:
    return condition is not None and condition.get("status") == "True"
