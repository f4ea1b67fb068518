"""Run a round as one Indexed Job, and follow it."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from sweep.cluster import PackEvent, Work
from sweep.cluster.api import Api, Away, Body, Refused
from sweep.cluster.following import Change, Follower
from sweep.cluster.queueing import JOB_UID, Line, Places, queue_of, workloads_path
from sweep.cluster.sighting import Sighting
from sweep.errors import BadInput, Unreachable
from sweep.plan import diagnosis
from sweep.plan.manifest import ROUND_HASH, STUDY_LABEL, job_name

log = logging.getLogger(__name__)

JOBS, PODS, EVENTS = "batch_v1/jobs", "v1/pods", "v1/events"
EXPLAINING = {"events", "queue"}  # followers whose silence costs words alone
REPEAT_WAIT_S = 1.0

T = TypeVar("T")
Render = Callable[[Work], Body]


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
    _sight: Sighting | None = None
    _places: Places | None = None

    def submit(self, work: Work) -> None:
        """Create the round's Job; one that exists is taken for ours if its round is the same.

        Raises BadInput where the server refuses it, Unreachable where it does not answer.
        """
        if self.work == work:
            return
        body = self.render(work)
        try:
            self._check_queue(body)
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
            self._check_queue(body)
            self._patiently(lambda: self.api.create(JOBS, body, dry=True))
        except Refused as error:
            raise BadInput(refusal(error, api=self.api, what="the Job")) from None

    @property
    def finished(self) -> bool:
        """Tell whether no pack runs or waits any more; those of lost nodes count as gone."""
        return self._sight is None or self._sight.finished

    def observe(self, timeout_s: float) -> list[PackEvent]:
        """Wait for news, at most `timeout_s`.

        Raises Unreachable where the server was away for longer than `patience_s`.
        """
        assert self._sight is not None
        events: list[PackEvent] = []
        until = time.monotonic() + timeout_s
        while not events:
            try:
                change = self._news.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            events.extend(self._sight.take(change))
        self._ask_for_the_place()
        events.extend(self._sight.overdue())
        self._check_contact()
        return events

    def stop(self, grace_s: float) -> None:
        """End the round's pods and wait for them; the Job stays where nothing would resume it."""
        if self.work is None or self.job is None:
            return
        name = job_name(self.work.study, self.work.round)
        try:
            if queue_of(self.job):  # Kueue would resume a Job that another suspended
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
        assert self.job is not None
        self._end()
        self.work = work
        name = job_name(work.study, work.round)
        line = Line(queue_of(self.job) or "")
        self._sight = Sighting(name, work.packs, self.node_lost_s, job=self.job, line=line)
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
        self._followers += self._queue_follower(self.job)
        self._places = (
            Places(self.api, line.queue, self.job["metadata"]["uid"]) if line.queue else None
        )
        for follower in self._followers:
            follower.start()

    def _queue_follower(self, job: Body) -> list[Follower]:
        try:
            path = self._patiently(lambda: workloads_path(self.api)) if queue_of(job) else None
        except Refused:
            path = None
        if path is None:
            return []
        selector = f"{JOB_UID}={job['metadata']['uid']}"
        return [Follower("queue", self.api, path, self._news, selector=selector)]

    def _ask_for_the_place(self) -> None:
        assert self._sight is not None
        line = self._sight.line
        if self._places is None or line.waits_since is None:
            return
        before = self._places.ask(now=time.monotonic())
        line.before = line.before if before is None else before

    def _check_queue(self, body: Body) -> None:
        name = queue_of(body)
        if name and self._patiently(lambda: workloads_path(self.api)) is None:
            raise BadInput(
                f"hydra.launcher.queue={name}: {self.api.where} has no Kueue, and nobody else "
                "starts a Job that waits in a queue; leave the queue out, or have Kueue installed"
            )

    def _end(self) -> None:
        for follower in self._followers:
            follower.stop()
        self._followers = []
        if self._sight is not None:
            self._sight.over = True

    def _check_contact(self) -> None:
        now = time.monotonic()
        for follower in self._followers:
            if not follower.trouble or follower.name in EXPLAINING:
                continue
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
