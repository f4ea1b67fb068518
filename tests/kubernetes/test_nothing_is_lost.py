"""Whatever dies: no trial is lost, none is counted twice, and MLflow shows no run as RUNNING."""

from __future__ import annotations

import random
import subprocess

import pytest
from clients import finish, kill, wait_until
from testbed.control import ControlPlane
from testbed.levers import paused
from testbed.s3 import Bucket
from tracked import Tracked

pytestmark = [
    pytest.mark.kube,
    pytest.mark.stack,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]

THREE = ("x=1,2,3", "hydra.launcher.pack.size=1", "hydra.launcher.parallelism=3")
ALL = range(3)
LONG = 240.0  # MLflow alone takes seconds of every pod's start


def start(tracked: Tracked, *words: str) -> subprocess.Popen[str]:
    """Start three trials, one a pod; return once all train."""
    client = tracked.on_cluster.place.start(*THREE, *words, study=tracked.study)
    tracked.on_cluster.wait_running(3, study=tracked.study)
    return client


def test_a_client_is_killed_and_another_attaches(tracked: Tracked) -> None:
    client = start(tracked, "epoch_s=2")
    wait_until(lambda: "RUNNING" in tracked.states().get("", []))
    kill(client)

    attached = tracked.on_cluster.place.verb("attach", tracked.study)

    tracked.assert_whole(attached, ALL)
    assert set(tracked.on_cluster.place.begun(tracked.study).values()) == {1}


def test_a_third_of_the_pods_is_killed(tracked: Tracked) -> None:
    client = start(tracked, "epoch_s=1")
    pod = random.Random(0).choice(tracked.on_cluster.running(tracked.study))
    tracked.on_cluster.core.delete_namespaced_pod(
        pod.metadata.name, tracked.on_cluster.namespace, grace_period_seconds=1
    )

    tracked.assert_whole(finish(client, within_s=LONG), ALL)


def test_the_api_server_is_restarted(tracked: Tracked, control_plane: ControlPlane) -> None:
    client = start(tracked, "epoch_s=1")
    control_plane.apiserver.restart()

    tracked.assert_whole(finish(client, within_s=LONG), ALL)


def test_a_node_is_lost_and_its_object_stays(tracked: Tracked) -> None:
    quick = ("hydra.launcher.node_lost_s=1", "hydra.launcher.grace_s=1")
    client = start(tracked, "epoch_s=2", *quick)
    lost = tracked.on_cluster.running(tracked.study)[0].spec.node_name
    tracked.on_cluster.nodes.lose(lost, processes="end")

    ended = finish(client, within_s=LONG)

    tracked.assert_whole(ended, ALL)
    assert f"node {lost} has been silent" in ended.out
    names = sorted(job.metadata.name for job in tracked.on_cluster.jobs(tracked.study))
    assert names[-1] == f"{tracked.study}-r2"
    tracked.on_cluster.nodes.bring_back(lost)


def test_a_node_is_lost_and_its_object_is_deleted(tracked: Tracked) -> None:
    """Its pods are gone with it, and the Job itself replaces them: a life and nothing else."""
    client = start(tracked, "epoch_s=2", "hydra.launcher.node_lost_s=120")
    lost = tracked.on_cluster.running(tracked.study)[0].spec.node_name
    tracked.on_cluster.nodes.lose(lost, processes="end")
    tracked.on_cluster.core.delete_node(lost)

    tracked.assert_whole(finish(client, within_s=LONG), ALL)


def test_the_store_is_away_for_a_minute(tracked: Tracked, bucket: Bucket) -> None:
    client = start(tracked, "epoch_s=1")
    with paused(bucket.server.process), pytest.raises(subprocess.TimeoutExpired):
        client.wait(60)

    tracked.assert_whole(finish(client, within_s=LONG), ALL)


def test_mlflow_is_away_all_the_time_and_what_it_lacks_is_published(tracked: Tracked) -> None:
    with tracked.away():
        ended = finish(start(tracked, "epoch_s=0.2"), within_s=LONG)
        refused = tracked.on_cluster.place.verb("publish", tracked.study)

    published = tracked.on_cluster.place.verb("publish", tracked.study)

    assert "did not answer; nothing is lost" in ended.out
    assert refused.code == 3
    assert published.code == 0, published.err
    tracked.assert_whole(ended, ALL)


def test_the_job_is_deleted_by_hand_and_the_study_resumed(tracked: Tracked) -> None:
    on_cluster, place = tracked.on_cluster, tracked.on_cluster.place
    one = ("hydra.launcher.pack.size=3", "hydra.launcher.parallelism=1")
    client = place.start(*THREE, *one, "epoch_s=0.5", study=tracked.study)
    wait_until(lambda: place.planned(tracked.study) and len(place.records(tracked.study)) >= 1)
    on_cluster.batch.delete_namespaced_job(f"{tracked.study}-r1", on_cluster.namespace)
    first = finish(client, within_s=LONG)
    before = set(place.records(tracked.study))

    resumed = place.verb("resume", tracked.study)

    assert "deleted by somebody" in first.out
    tracked.assert_whole(resumed, ALL)
    assert all(place.begun(tracked.study)[number] == 1 for number in before)
