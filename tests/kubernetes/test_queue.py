"""A study that is given to a queue waits there, says why, and goes on when it is let in again."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from clients import finish
from kubernetes import client
from on_cluster import OnCluster
from testbed.audit import asked_by
from testbed.control import ControlPlane
from testbed.kueue import Kueue
from testbed.levers import killed
from testbed.waiting import until
from testbed.workloads import make_job, make_pod

from sweep.plan.manifest import QUEUE_LABEL
from sweep.plan.trial import State

pytestmark = [pytest.mark.kueue, pytest.mark.slow]

FOUR = (
    "x=1,2,3,4",
    "hydra.launcher.cluster=kubernetes",
    "hydra.launcher.queue=team",
    "hydra.launcher.pack.size=1",
    "hydra.launcher.parallelism=2",
)
ROOM = {"cpu": "2", "memory": "8Gi"}
NO_ROOM = {"cpu": "1", "memory": "8Gi"}


def filling(*, queue: str) -> dict[str, Any]:
    """Build a Job that takes all of a queue's quota, and ends by being deleted."""
    pod = make_pod(plays="hang", resources=ROOM, grace_s=0)
    job = make_job(pod, name="filling", suspend=True)
    job["metadata"]["labels"] = {QUEUE_LABEL: queue}
    return job


def line_with(words: str, of: subprocess.Popen[str]) -> str:
    """Read a client's lines up to one that says this."""
    assert of.stdout is not None
    read = []
    for line in of.stdout:
        read.append(line)
        if words in line:
            return line
    raise AssertionError(f"it never said '{words}':\n{''.join(read)}{finish(of).err}")


def test_a_study_is_admitted_by_its_queue_and_trained(on_cluster: OnCluster, kueue: Kueue) -> None:
    kueue.add_queue("team", namespace=on_cluster.namespace, quota=ROOM)

    ended = on_cluster.place.multirun(*FOUR, "epoch_s=0")

    assert ended.code == 0, ended.err
    assert on_cluster.place.ended() == [0, 1, 2, 3]
    (workload,) = kueue.workloads(on_cluster.namespace)
    reasons = {each["type"]: each["reason"] for each in workload["status"]["conditions"]}
    assert reasons["Finished"] == "Succeeded"


def test_the_client_says_what_its_study_waits_for_by_the_role_s_rights(
    on_cluster: OnCluster, kueue: Kueue, control_plane: ControlPlane
) -> None:
    kueue.add_queue("team", namespace=on_cluster.namespace, quota=NO_ROOM)
    waiting = on_cluster.place.start(*FOUR, "epoch_s=0")
    why = line_with("waits in queue team", waiting)

    kueue.set_quota("team", namespace=on_cluster.namespace, quota=ROOM)
    ended = finish(waiting)

    assert "insufficient" in why
    assert "cpu" in why
    assert ended.code == 0, ended.err
    assert "queue team admitted the Job" in ended.out
    folder = control_plane.bed.folder / "audit"
    found = asked_by(folder, namespace=on_cluster.namespace, account="sweep-submitter")
    of_workloads = [each for each in found if each.resource == "workloads"]
    assert {each.verb for each in of_workloads} == {"list", "watch"}
    assert [each for each in of_workloads if each.code == 403] == []


def test_a_queue_that_is_missing_is_told(on_cluster: OnCluster, kueue: Kueue) -> None:
    waiting = on_cluster.place.start(*FOUR, "epoch_s=0")
    why = line_with("waits in queue team", waiting)

    kueue.add_queue("team", namespace=on_cluster.namespace, quota=ROOM)

    assert "LocalQueue team doesn't exist" in why
    assert finish(waiting).code == 0


def test_who_may_ask_kueue_nothing_is_told_that_it_waits(
    on_cluster: OnCluster, kueue: Kueue
) -> None:
    rbac = client.RbacAuthorizationV1Api(on_cluster.client)
    role = rbac.read_namespaced_role("sweep-submitter", on_cluster.namespace)
    role.rules = [rule for rule in role.rules if "kueue" not in "".join(rule.api_groups)]
    rbac.replace_namespaced_role("sweep-submitter", on_cluster.namespace, role)
    kueue.add_queue("team", namespace=on_cluster.namespace, quota=NO_ROOM)
    waiting = on_cluster.place.start(*FOUR, "epoch_s=0")
    line = line_with("waits in queue team", waiting)

    kueue.set_quota("team", namespace=on_cluster.namespace, quota=ROOM)

    assert line.rstrip().endswith("the Job waits in queue team")
    assert finish(waiting).code == 0


def test_the_second_study_waits_for_the_first(on_cluster: OnCluster, kueue: Kueue) -> None:
    kueue.add_queue("team", namespace=on_cluster.namespace, quota=ROOM)
    first = on_cluster.place.start(*FOUR, "epoch_s=1", study="first")
    on_cluster.wait_running(study="first")
    second = on_cluster.place.start(*FOUR, "epoch_s=0", study="second")
    line_with("waits in queue team", second)
    pods_of_the_second = on_cluster.pods("second")

    codes = finish(first).code, finish(second).code

    assert not pods_of_the_second
    assert codes == (0, 0)


def test_studies_in_line_are_told_their_place_by_the_role_s_rights(
    on_cluster: OnCluster, kueue_with_places: Kueue, control_plane: ControlPlane
) -> None:
    kueue = kueue_with_places
    kueue.add_queue("team", namespace=on_cluster.namespace, quota=ROOM)
    kueue.share_queue("team", namespace=on_cluster.namespace, name="others")
    on_cluster.batch.create_namespaced_job(on_cluster.namespace, filling(queue="others"))
    until(
        lambda: on_cluster.batch.read_namespaced_job("filling", on_cluster.namespace),
        holds=lambda job: job.status.active,
    )

    second = on_cluster.place.start(*FOUR, "epoch_s=0", study="second")
    place_of_the_second = line_with("before it", second)
    elsewhere = [word.replace("queue=team", "queue=others") for word in FOUR]
    third = on_cluster.place.start(*elsewhere, "epoch_s=0", study="third")
    place_of_the_third = line_with("before it", third)
    on_cluster.batch.delete_namespaced_job(
        "filling", on_cluster.namespace, propagation_policy="Foreground"
    )
    codes = finish(second).code, finish(third).code

    assert "waits in queue team, none before it: " in place_of_the_second
    assert "waits in queue others, 1 other before it: " in place_of_the_third
    assert codes == (0, 0)
    folder = control_plane.bed.folder / "audit"
    found = asked_by(folder, namespace=on_cluster.namespace, account="sweep-submitter")
    of_places = {
        (each.resource, each.verb, each.code)
        for each in found
        if each.group == "visibility.kueue.x-k8s.io" and each.resource.startswith("localqueues")
    }
    assert of_places == {("localqueues/pendingworkloads", "get", 200)}


def test_in_a_queue_that_is_made_later_the_place_is_told_too(
    on_cluster: OnCluster, kueue_with_places: Kueue
) -> None:
    kueue = kueue_with_places
    waiting = on_cluster.place.start(*FOUR, "epoch_s=0")
    without_queue = line_with("waits in queue team", waiting)

    kueue.add_queue("team", namespace=on_cluster.namespace, quota=NO_ROOM)
    with_queue = line_with("before it", waiting)
    kueue.set_quota("team", namespace=on_cluster.namespace, quota=ROOM)

    assert "before it" not in without_queue
    assert "none before it" in with_queue
    assert finish(waiting).code == 0


def test_cancel_ends_the_pods_and_nothing_resumes_them(on_cluster: OnCluster, kueue: Kueue) -> None:
    kueue.add_queue("team", namespace=on_cluster.namespace, quota=ROOM)
    on_cluster.place.multirun(*FOUR, "epoch_s=30", "hydra.launcher.detach=true")
    on_cluster.wait_running(2)

    cancelled = on_cluster.place.verb("cancel", "s")

    assert cancelled.code == 0, cancelled.err
    states = [record.state for record in on_cluster.place.records().values()]
    assert states == [State.CANCELLED] * 4
    until(lambda: (on_cluster.jobs(), on_cluster.pods()), holds=lambda left: left == ([], []))
    until(lambda: kueue.workloads(on_cluster.namespace), holds=lambda left: not left)


def test_a_study_is_cancelled_while_it_waits_and_resumed(
    on_cluster: OnCluster, kueue: Kueue
) -> None:
    kueue.add_queue("team", namespace=on_cluster.namespace, quota=NO_ROOM)
    on_cluster.place.multirun(*FOUR, "epoch_s=0", "hydra.launcher.detach=true")

    cancelled = on_cluster.place.verb("cancel", "s")
    left = until(on_cluster.jobs, holds=lambda jobs: not jobs)
    kueue.set_quota("team", namespace=on_cluster.namespace, quota=ROOM)
    resumed = on_cluster.place.verb("resume", "s")

    assert cancelled.code == 0, cancelled.err
    assert not left
    assert resumed.code == 0, resumed.err
    assert [job.metadata.name for job in on_cluster.jobs()] == ["s-r2"]
    states = {record.state for record in on_cluster.place.records().values()}
    assert states == {State.COMPLETED}


def test_a_study_that_its_queue_takes_back_goes_on_later(
    on_cluster: OnCluster, kueue: Kueue
) -> None:
    kueue.add_queue("team", namespace=on_cluster.namespace, quota=ROOM)
    study = on_cluster.place.start(*FOUR, "epoch_s=2")
    on_cluster.wait_running(2)

    kueue.hold("team", namespace=on_cluster.namespace)
    why = line_with("waits in queue team", study)
    until(on_cluster.running, holds=lambda pods: not pods)
    kueue.go_on("team", namespace=on_cluster.namespace)
    ended = finish(study)

    assert "inactive" in why
    assert ended.code == 0, ended.err
    assert "queue team admitted the Job" in ended.out
    assert on_cluster.place.ended() == [0, 1, 2, 3]


def test_kueue_may_be_away_while_a_study_is_submitted(on_cluster: OnCluster, kueue: Kueue) -> None:
    kueue.add_queue("team", namespace=on_cluster.namespace, quota=ROOM)
    with killed(kueue.process):
        early = on_cluster.place.start(*FOUR, "epoch_s=0")
        until(on_cluster.place.planned, holds=bool)
        jobs = on_cluster.jobs()

    ended = finish(early)

    assert not jobs
    assert ended.code == 0, ended.err
