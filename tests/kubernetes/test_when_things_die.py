"""Whatever dies, no trial is lost, none counts twice, and a person is told what happened."""

from __future__ import annotations

import pytest
from clients import Ended, finish, wait_until
from on_cluster import OnCluster
from testbed.control import ControlPlane
from testbed.levers import killed, paused
from testbed.s3 import Bucket

from sweep.plan.trial import State

pytestmark = [pytest.mark.kube, pytest.mark.stack]

SIX = ("x=1,2,3,4,5,6", "epoch_s=0.5", "hydra.launcher.pack.size=1")


def test_a_pod_killed_for_memory_is_told_and_its_trial_goes_on(on_cluster: OnCluster) -> None:
    client = on_cluster.place.start(*SIX)
    pod = on_cluster.wait_running()[0]
    on_cluster.make_play(pod, "OOMKilled")

    ended = finish(client)

    assert_whole(on_cluster, ended, 6)
    assert f"pod {pod.metadata.name}: container 'trainer' was killed for memory at 2Gi" in ended.out


def test_an_evicted_pod_is_replaced_and_not_counted(on_cluster: OnCluster) -> None:
    client = on_cluster.place.start(*SIX)
    on_cluster.make_play(on_cluster.wait_running()[0], "Evicted")

    ended = finish(client)

    assert_whole(on_cluster, ended, 6)
    (job,) = on_cluster.jobs()
    assert not job.status.failed_indexes


def test_a_store_that_is_away_for_a_while_costs_nothing(
    on_cluster: OnCluster, bucket: Bucket
) -> None:
    client = on_cluster.place.start(*SIX, "epoch_s=1")
    on_cluster.wait_running(2)
    with killed(bucket.server.process):
        wait_until(lambda: not bucket.server.process.alive)

    ended = finish(client)

    assert_whole(on_cluster, ended, 6)


def test_what_a_cut_off_node_still_wrote_is_not_trained_again(on_cluster: OnCluster) -> None:
    client = on_cluster.place.start(
        *SIX, "epoch_s=4", "hydra.launcher.node_lost_s=12", "hydra.launcher.grace_s=1"
    )
    lost = on_cluster.wait_running(6)[0].spec.node_name
    on_cluster.nodes.lose(lost, processes="go on")

    ended = finish(client, within_s=240)

    assert_whole(on_cluster, ended, 6)
    assert [job.metadata.name for job in on_cluster.jobs()] in ([], ["s-r1"])
    on_cluster.nodes.bring_back(lost)


def test_what_no_node_can_hold_is_told_and_goes_on_once_one_can(on_cluster: OnCluster) -> None:
    client = on_cluster.place.start("x=1", "epoch_s=0", "hydra.launcher.resources.gpu=1")
    assert client.stdout is not None
    for line in client.stdout:
        if "no node takes it" in line:
            break

    on_cluster.nodes.add(1, gpus=1)

    assert "Insufficient nvidia.com/gpu" in line
    assert finish(client).code == 0


def test_a_quota_is_told(on_cluster: OnCluster) -> None:
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "0"}}}
    on_cluster.core.create_namespaced_resource_quota(on_cluster.namespace, quota)
    client = on_cluster.place.start("x=1", "epoch_s=0")
    assert client.stdout is not None
    for line in client.stdout:
        if "pods cannot be made" in line:
            break

    on_cluster.core.delete_namespaced_resource_quota("q", on_cluster.namespace)

    assert "exceeded quota: q" in line
    assert finish(client, within_s=240).code == 0


def test_a_sweep_without_hope_stops_early_and_shows_why(on_cluster: OnCluster) -> None:
    ended = on_cluster.place.multirun(
        f"x={','.join(map(str, range(20)))}",
        "fault=error",
        "epoch_s=0",
        "hydra.launcher.max_failed=2",
        "hydra.launcher.parallelism=2",
        "hydra.launcher.pack.size=1",
    )

    states = [record.state for record in on_cluster.place.records().values()]
    assert ended.code == 1
    assert states.count(State.FAILED) < 20
    assert "more than max_failed=2" in ended.out + ended.err


def test_a_sweep_without_hope_stops_early_without_a_client_too(on_cluster: OnCluster) -> None:
    left = on_cluster.place.multirun(
        f"x={','.join(map(str, range(10)))}",
        "fault=error",
        "epoch_s=0",
        "hydra.launcher.max_failed=2",
        "hydra.launcher.parallelism=1",
        "hydra.launcher.pack.size=5",
        "hydra.launcher.detach=true",
    )
    wait_until(lambda: on_cluster.jobs()[0].status.conditions is not None, within_s=240)
    states = [record.state for record in on_cluster.place.records().values()]
    attached = on_cluster.place.verb("attach", "s")

    assert left.code == 75
    assert 2 < states.count(State.FAILED) <= 5, "none of the second pack is begun"
    assert states.count(State.FAILED) + states.count(State.CANCELLED) == 10
    assert attached.code == 1
    assert "ZeroDivisionError" in attached.out + attached.err


def test_a_paused_api_server_outlasts_no_impatient_client(
    on_cluster: OnCluster, control_plane: ControlPlane
) -> None:
    client = on_cluster.place.start("x=1,2", "epoch_s=1", "hydra.launcher.patience_s=5")
    on_cluster.wait_running()
    with paused(control_plane.apiserver):
        ended = finish(client, within_s=240)

    assert ended.code == 3
    assert "the Job goes on without this client" in ended.err
    assert on_cluster.place.verb("attach", "s").code == 0


def test_the_second_conductor_is_told_who_holds_the_study(on_cluster: OnCluster) -> None:
    client = on_cluster.place.start("x=1,2", "epoch_s=2")
    on_cluster.wait_running()

    second = on_cluster.place.verb("resume", "s")

    assert second.code == 2
    assert "conducted by process" in second.err
    assert finish(client).code == 0


def test_another_client_may_follow_a_study_that_is_conducted(on_cluster: OnCluster) -> None:
    client = on_cluster.place.start("x=1,2", "epoch_s=8")
    on_cluster.wait_running()

    second = on_cluster.place.verb("attach", "s")

    assert second.code == 0, second.err
    assert "; following it" in second.out
    assert finish(client).code == 0


def assert_whole(on_cluster: OnCluster, ended: Ended, trials: int) -> None:
    assert ended.code == 0, ended.out + ended.err
    records = on_cluster.place.records()
    assert {n: r.state for n, r in records.items()} == dict.fromkeys(range(trials), State.COMPLETED)
    assert on_cluster.place.ended() == list(range(trials)), "a trial was recorded twice"
