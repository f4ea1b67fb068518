"""Run a round as one Indexed Job, and follow it."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from sweep.cluster import PackEvent, Stage, Work
from sweep.cluster.api import Api, Away, Body, Refused
from sweep.cluster.following import Change, Follower
from sweep.errors import BadInput, Unreachable
from sweep.plan import diagnosis
from sweep.plan.exits import Verdict
from sweep.plan.manifest import ROUND_HASH, STUDY_LABEL, job_name

log = logging.getLogger(__name__)

JOBS, PODS, EVENTS = "batch_v1/jobs", "v1/pods", "v1/events"
TOLD_AFTER_S = 5.0  # a pod that waits for longer is worth a line
REPEAT_WAIT_S = 1.0
TROUBLES = {"FailedCreate", "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"}

T = TypeVar("T")
Render = Callable[[Work], Body]


@dataclass
class _Pod:
    pack: int
    body: Body
    seen: float
    started: bool = False
    over: bool = False
    stuck_since: float | None = None


@dataclass
class KubernetesCluster:
    """One Job a round; the API is only read while it runs.

    `render` makes the Job of a piece of work. A pod that was told to end and is silent for its
    grace and `node_lost_s` more is given up.
    """

    api: Api
    render: Render
    patience_s: float = 600.0
    node_lost_s: float = 60.0
    lasting: bool = True  # what it runs goes on without this client
    work: Work | None = None
    job: Body | None = None
    _news: queue.Queue[Change] = field(default_factory=queue.Queue)
    _followers: list[Follower] = field(default_factory=list)
    _pods: dict[str, _Pod] = field(default_factory=dict)
    _settled: set[int] = field(default_factory=set)  # packs that are done, failed or lost
    _lost: set[int] = field(default_factory=set)
    _told: set[str] = field(default_factory=set)
    _over: bool = False

    def submit(self, work: Work) -> None:
        """Create the round's Job; one that exists is taken for ours if its round is the same.

        Raises BadInput where the server refuses it, Unreachable where it does not answer.
        """
        if self.work == work:
            return
        body = self.render(work)
        try:
            self.job = self._patiently(lambda: self._create(body))
        except Refused as error:
            raise BadInput(refusal(error, api=self.api, what="the Job")) from None
        self._follow(work)

    def adopt(self, work: Work) -> bool:
        """Follow a round's Job that somebody else created; tell whether it is there."""
        name = job_name(work.study, work.round)
        try:
            self.job = self._patiently(lambda: self.api.get(f"{JOBS}/{name}"))
        except Refused as error:
            if error.status == 404:
                return False
            raise BadInput(refusal(error, api=self.api, what="the Job")) from None
        self._check_ours(self.job, self.render(work))
        self._follow(work)
        return True

    def check(self, work: Work) -> None:
        """Ask the server whether it would take the Job; nothing is created.

        Raises BadInput, Unreachable.
        """
        body = self.render(work)
        try:
            self._patiently(lambda: self.api.create(JOBS, body, dry=True))
        except Refused as error:
            raise BadInput(refusal(error, api=self.api, what="the Job")) from None

    @property
    def finished(self) -> bool:
        """Tell whether no pack runs or waits any more; those of lost nodes count as gone."""
        if self.work is None or self._over:
            return True
        return bool(self._lost) and len(self._settled) == len(self.work.packs)

    def observe(self, timeout_s: float) -> list[PackEvent]:
        """Wait for news, at most `timeout_s`.

        Raises Unreachable where the server was away for longer than `patience_s`.
        """
        events: list[PackEvent] = []
        until = time.monotonic() + timeout_s
        while not events:
            try:
                change = self._news.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            events.extend(self._take(change))
        events.extend(self._overdue())
        self._check_contact()
        return events

    def stop(self, grace_s: float) -> None:
        """End the round's pods and wait for them; the Job stays where nothing would resume it."""
        if self.work is None or self.job is None:
            return
        name = job_name(self.work.study, self.work.round)
        queued = bool(self.job["spec"].get("suspend") is not None and _queue(self.job))
        try:
            if queued:  # Kueue would resume a Job that another suspended
                self._patiently(lambda: self.api.delete(f"{JOBS}/{name}"))
            else:
                self._patiently(
                    lambda: self.api.patch(f"{JOBS}/{name}", {"spec": {"suspend": True}})
                )
        except Refused as error:
            if error.status != 404:
                raise BadInput(refusal(error, api=self.api, what="the Job")) from None
        self._wait_for_pods(grace_s + self._grace())
        self._end()

    def remove(self) -> None:
        """Delete the round's Job with its pods, for a round that is over but for lost nodes."""
        assert self.work is not None
        name = job_name(self.work.study, self.work.round)
        try:
            self._patiently(lambda: self.api.delete(f"{JOBS}/{name}"))
        except Refused as error:
            log.warning("%s", refusal(error, api=self.api, what="the old Job's deletion"))
        self._end()

    def _create(self, body: Body) -> Body:
        try:
            return self.api.create(JOBS, body)
        except Refused as error:
            if error.status != 409 or error.reason != "AlreadyExists":
                raise
        # Created by a request of ours whose answer was lost, or by an earlier life of this study.
        found = self.api.get(f"{JOBS}/{body['metadata']['name']}")
        self._check_ours(found, body)
        return found

    def _check_ours(self, found: Body, body: Body) -> None:
        name = f"Job {found['metadata']['name']} in {self.api.namespace}"
        notes = found["metadata"].get("annotations") or {}
        if notes.get(ROUND_HASH) != body["metadata"]["annotations"][ROUND_HASH]:
            raise BadInput(f"{name} exists and is another's; choose another hydra.launcher.study")

    def _follow(self, work: Work) -> None:
        self._end()
        self.work, self._over = work, False
        self._pods, self._settled, self._lost = {}, set(), set()
        name = job_name(work.study, work.round)
        self._news = queue.Queue()
        pods = f"batch.kubernetes.io/job-name={name}"
        self._followers = [
            Follower("job", self.api, JOBS, self._news, fields=f"metadata.name={name}"),
            Follower("pods", self.api, PODS, self._news, selector=pods),
            Follower(
                "events",
                self.api,
                EVENTS,
                self._news,
                fields=f"involvedObject.kind=Job,involvedObject.name={name}",
            ),
        ]
        for follower in self._followers:
            follower.start()

    def _end(self) -> None:
        for follower in self._followers:
            follower.stop()
        self._followers = []
        self._over = True

    def _take(self, change: Change) -> Iterator[PackEvent]:
        bodies = [change.body] if change.body is not None else list(change.all or ())
        if change.kind == "events":
            for body in bodies:
                yield from self._event(body)
            return
        if change.kind == "job":
            yield from self._job(bodies, listed=change.all is not None, gone=change.gone)
            return
        if change.all is not None:
            present = {body["metadata"]["uid"] for body in bodies}
            for uid in [uid for uid in self._pods if uid not in present]:
                yield from self._pod_gone(uid)
        for body in bodies:
            yield from self._pod(body)
            if change.gone:
                yield from self._pod_gone(body["metadata"]["uid"])

    def _pod(self, body: Body) -> Iterator[PackEvent]:
        assert self.work is not None
        index = diagnosis.index_of(body)
        if index is None or not 0 <= index < len(self.work.packs):
            return
        uid, now = body["metadata"]["uid"], time.monotonic()
        pod = self._pods.setdefault(uid, _Pod(self.work.packs[index], body, now))
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
                self._settled.add(pod.pack)
            judged = end.verdict
            if judged in (Verdict.FAIL_PACK, Verdict.FAIL_ROUND):
                judged = Verdict.COUNT  # the Job's own word on it follows
            if judged is Verdict.COUNT or "start" in end.text:
                yield PackEvent(pod.pack, Stage.NOTE, end.text)
            yield PackEvent(pod.pack, Stage.ENDED, end.text, judged, end.code)
            return
        if diagnosis.stuck(body) and pod.stuck_since is None:
            pod.stuck_since = now

    def _pod_gone(self, uid: str) -> Iterator[PackEvent]:
        pod = self._pods.get(uid)
        if pod is None or pod.over:
            return
        pod.over = True
        text = f"pod {pod.body['metadata']['name']} was deleted"
        yield PackEvent(pod.pack, Stage.ENDED, text, Verdict.AGAIN)

    def _job(self, bodies: list[Body], *, listed: bool, gone: bool) -> Iterator[PackEvent]:
        assert self.work is not None
        if gone or (listed and not bodies):
            self._over = True
            name = job_name(self.work.study, self.work.round)
            yield PackEvent(None, Stage.NOTE, f"Job {name} was deleted by somebody")
            return
        for body in bodies:
            self.job = body
            for index in diagnosis.failed_indexes(body):
                pack = self.work.packs[index]
                if pack not in self._settled:
                    self._settled.add(pack)
                    yield PackEvent(pack, Stage.ENDED, self._last_word(pack), Verdict.FAIL_PACK)
            for index in diagnosis.done_indexes(body):
                self._settled.add(self.work.packs[index])
            end = diagnosis.finished(body)
            if end is not None:
                self._over = True
                yield from self._job_over(*end)

    def _job_over(self, reason: str, message: str) -> Iterator[PackEvent]:
        assert self.work is not None
        if reason == "PodFailurePolicy":
            pack = next((p.pack for p in self._pods.values() if _refused(p.body)), None)
            text = self._last_word(pack) if pack is not None else message
            yield PackEvent(pack, Stage.ENDED, text, Verdict.FAIL_ROUND)
        elif reason == "DeadlineExceeded":
            text = "the Job's deadline passed (hydra.launcher.deadline_s, or its budget)"
            yield PackEvent(None, Stage.NOTE, f"{text}; resume does the rest")

    def _last_word(self, pack: int) -> str:
        ends = [
            end
            for pod in self._pods.values()
            if pod.pack == pack and (end := diagnosis.ended(pod.body)) is not None
        ]
        told = [end for end in ends if end.verdict is not Verdict.DONE]
        return told[-1].text if told else "its index failed in the Job"

    def _event(self, body: Body) -> Iterator[PackEvent]:
        reason, message = body.get("reason", ""), " ".join(str(body.get("message", "")).split())
        if reason in TROUBLES and self._first_time(f"{reason} {_kind(message)}"):
            yield PackEvent(None, Stage.NOTE, f"pods cannot be made: {message}")

    def _overdue(self) -> Iterator[PackEvent]:
        now = time.monotonic()
        waiting: dict[str, list[str]] = {}
        for pod in self._pods.values():
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
        self._settled.add(pod.pack)
        self._lost.add(pod.pack)
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

    def _check_contact(self) -> None:
        now = time.monotonic()
        for follower in self._followers:
            if not follower.trouble or follower.name == "events":
                continue  # Events only explain
            if follower.refused is not None and follower.refused.status == 403:
                raise BadInput(refusal(follower.refused, api=self.api, what="to follow the Job"))
            silent = now - follower.since
            if silent > self.patience_s:
                raise Unreachable(
                    f"{follower.trouble}; it has been so for {silent:.0f} s, longer than "
                    "hydra.launcher.patience_s; the Job goes on without this client"
                )

    def _patiently(self, ask: Callable[[], T]) -> T:
        until = time.monotonic() + self.patience_s
        while True:
            try:
                return ask()
            except Away as error:
                if time.monotonic() > until:
                    raise Unreachable(
                        f"{error}; waited {self.patience_s:.0f} s (hydra.launcher.patience_s)"
                    ) from error
                log.info("%s; asked again soon", error)
                time.sleep(REPEAT_WAIT_S)

    def _grace(self) -> float:
        assert self.job is not None
        pod = self.job["spec"]["template"]["spec"]
        return float(pod.get("terminationGracePeriodSeconds", 30))

    def _wait_for_pods(self, most_s: float) -> None:
        assert self.work is not None
        name = job_name(self.work.study, self.work.round)
        until = time.monotonic() + most_s
        selector = f"batch.kubernetes.io/job-name={name}"
        while time.monotonic() < until:
            found, _ = self._patiently(lambda: self.api.list(PODS, selector=selector))
            if all(diagnosis.ended(pod) is not None for pod in found):
                return
            time.sleep(REPEAT_WAIT_S)


def refusal(error: Refused, *, api: Api, what: str) -> str:
    """Say why the API server refused something, and what to do."""
    where = f"{what} was refused by {api.where}, namespace {api.namespace}"
    if error.status == 403 and "quota" in str(error):
        return f"{where}: {error}; ask for less by hydra.launcher.resources, or raise the quota"
    if error.status in (401, 403):
        return (
            f"{where}: {error}; bind the Role 'sweep-submitter' of the sweep release to yourself, "
            "or name another hydra.launcher.namespace"
        )
    if error.status == 404:
        return f"{where}: {error}; does the namespace exist?"
    return f"{where}: {error}"


def studies_jobs(api: Api, study: str) -> list[Mapping[str, object]]:
    """List the Jobs of a study.

    Raises Refused, Away.
    """
    found, _ = api.list(JOBS, selector=f"{STUDY_LABEL}={study}")
    return [*found]


def _queue(job: Body) -> str | None:
    found: str | None = (job["metadata"].get("labels") or {}).get("kueue.x-k8s.io/queue-name")
    return found


def _refused(pod: Body) -> bool:
    end = diagnosis.ended(pod)
    return end is not None and end.verdict is Verdict.FAIL_ROUND


def _kind(message: str) -> str:
    return "quota" if "quota" in message else message[:60]
