"""Make sense of what the API server tells of one Job: what happened to which pack."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from sweep.cluster import PackEvent, Stage
from sweep.cluster.api import Body
from sweep.cluster.following import Change
from sweep.cluster.queueing import Line
from sweep.plan import diagnosis
from sweep.plan.exits import Verdict

TOLD_AFTER_S = 5.0  # a pod that waits for longer is worth a line
TROUBLES = {"FailedCreate", "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"}


@dataclass
class _Pod:
    """A pod as it was last seen."""

    pack: int
    body: Body
    seen: float
    started: bool = False
    over: bool = False
    stuck_since: float | None = None


@dataclass
class Sighting:
    """What is known of a Job's pods; `packs` stand in the order of its completion indexes."""

    name: str  # of the Job
    packs: Sequence[int]
    node_lost_s: float
    clock: Callable[[], float] = time.monotonic
    job: Body | None = None
    line: Line = field(default_factory=Line)
    pods: dict[str, _Pod] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)  # packs that are done, failed or lost
    lost: set[int] = field(default_factory=set)
    over: bool = False
    _told: set[str] = field(default_factory=set)

    @property
    def finished(self) -> bool:
        """Tell whether no pack runs or waits any more; those of lost nodes count as gone."""
        return self.over or (bool(self.lost) and len(self.settled) == len(self.packs))

    def take(self, change: Change) -> Iterator[PackEvent]:
        """Take in what the API server told, and say what it means for packs."""
        bodies = [change.body] if change.body is not None else list(change.all or ())
        if change.kind == "events":
            for body in bodies:
                yield from self._event(body)
            return
        if change.kind == "queue":
            self.line.take_workloads(bodies)
            return
        if change.kind == "job":
            yield from self._job(bodies, listed=change.all is not None, gone=change.gone)
            return
        if change.all is not None:
            present = {body["metadata"]["uid"] for body in bodies}
            for uid in [uid for uid in self.pods if uid not in present]:
                yield from self._pod_gone(uid)
        for body in bodies:
            yield from self._pod(body)
            if change.gone:
                yield from self._pod_gone(body["metadata"]["uid"])

    def _pod(self, body: Body) -> Iterator[PackEvent]:
        index = diagnosis.index_of(body)
        if index is None or not 0 <= index < len(self.packs):
            return
        uid, now = body["metadata"]["uid"], self.clock()
        pod = self.pods.setdefault(uid, _Pod(self.packs[index], body, now))
        pod.body = body
        if pod.over:
            return
        end = diagnosis.ended(body)
        if diagnosis.running(body) and not pod.started:
            pod.started = True
            node = body["spec"].get("nodeName", "?")
            yield PackEvent(pod.pack, Stage.STARTED, f"pod {body['metadata']['name']} on {node}")
        if end is not None:
            pod.over = True
            if end.verdict is Verdict.DONE:
                self.settled.add(pod.pack)
            judged = end.verdict
            if judged in (Verdict.FAIL_PACK, Verdict.FAIL_ROUND):
                judged = Verdict.COUNT  # the Job's own word on it follows
            if judged is Verdict.COUNT:
                yield PackEvent(pod.pack, Stage.NOTE, end.text)
            yield PackEvent(pod.pack, Stage.ENDED, end.text, judged, end.code)
            return
        if diagnosis.stuck(body) and pod.stuck_since is None:
            pod.stuck_since = now

    def _pod_gone(self, uid: str) -> Iterator[PackEvent]:
        pod = self.pods.get(uid)
        if pod is None or pod.over:
            return
        pod.over = True
        text = f"pod {pod.body['metadata']['name']} was deleted"
        yield PackEvent(pod.pack, Stage.ENDED, text, Verdict.AGAIN)

    def _job(self, bodies: list[Body], *, listed: bool, gone: bool) -> Iterator[PackEvent]:
        if gone or (listed and not bodies):
            self.over = True
            yield PackEvent(None, Stage.NOTE, f"Job {self.name} was deleted by somebody")
            return
        for body in bodies:
            self.job = body
            self.line.take_job(body, now=self.clock())
            for index in diagnosis.failed_indexes(body):
                pack = self.packs[index]
                if pack not in self.settled:
                    self.settled.add(pack)
                    yield PackEvent(pack, Stage.ENDED, self._last_word(pack), Verdict.FAIL_PACK)
            for index in diagnosis.done_indexes(body):
                self.settled.add(self.packs[index])
            end = diagnosis.finished(body)
            if end is not None:
                self.over = True
                yield from self._job_over(*end)

    def _job_over(self, reason: str, message: str) -> Iterator[PackEvent]:
        if reason == "PodFailurePolicy":
            pack = next((p.pack for p in self.pods.values() if _refused(p.body)), None)
            text = self._last_word(pack) if pack is not None else message
            yield PackEvent(pack, Stage.ENDED, text, Verdict.FAIL_ROUND)
        elif reason == "DeadlineExceeded":
            text = "the Job's deadline passed (hydra.launcher.deadline_s, or its budget)"
            yield PackEvent(None, Stage.NOTE, f"{text}; resume does the rest")

    def _last_word(self, pack: int) -> str:
        ends = [
            end
            for pod in self.pods.values()
            if pod.pack == pack and (end := diagnosis.ended(pod.body)) is not None
        ]
        told = [end for end in ends if end.verdict is not Verdict.DONE]
        return told[-1].text if told else "its index failed in the Job"

    def _event(self, body: Body) -> Iterator[PackEvent]:
        reason, message = body.get("reason", ""), " ".join(str(body.get("message", "")).split())
        if reason in TROUBLES and self._first_time(f"{reason} {_kind(message)}"):
            yield PackEvent(None, Stage.NOTE, f"pods cannot be made: {message}")

    def overdue(self) -> Iterator[PackEvent]:
        """Tell of a wait that is long, and give up pods whose node is silent."""
        now = self.clock()
        if text := self.line.news(now=now):
            yield PackEvent(None, Stage.NOTE, text)
        waiting: dict[str, list[str]] = {}
        for pod in self.pods.values():
            if pod.over:
                continue
            if pod.stuck_since is not None and now - pod.stuck_since > self._patience(pod):
                lost = self._give_up(pod)
                yield PackEvent(None, Stage.NOTE, lost.text)
                yield lost
                continue
            why = diagnosis.waiting(pod.body)
            if why is not None and now - pod.seen > TOLD_AFTER_S:
                waiting.setdefault(why.kind, []).append(why.text)
        for kind, texts in waiting.items():
            if self._first_time(kind):
                pods = "1 pod waits" if len(texts) == 1 else f"{len(texts)} pods wait"
                yield PackEvent(None, Stage.NOTE, f"{pods}: {texts[0]}")

    def _patience(self, pod: _Pod) -> float:
        grace = pod.body["metadata"].get("deletionGracePeriodSeconds") or 0
        return float(grace) + self.node_lost_s

    def _give_up(self, pod: _Pod) -> PackEvent:
        pod.over = True
        self.settled.add(pod.pack)
        self.lost.add(pod.pack)
        node = pod.body["spec"].get("nodeName", "?")
        text = (
            f"pod {pod.body['metadata']['name']}: node {node} has been silent for "
            f"{self.node_lost_s:.0f} s beyond the pod's grace; its trials go to another round"
        )
        return PackEvent(pod.pack, Stage.ENDED, text, Verdict.LOST)

    def _first_time(self, kind: str) -> bool:
        new = kind not in self._told
        self._told.add(kind)
        return new


def _refused(pod: Body) -> bool:
    end = diagnosis.ended(pod)
    return end is not None and end.verdict is Verdict.FAIL_ROUND


def _kind(message: str) -> str:
    return "quota" if "quota" in message else message[:60]
