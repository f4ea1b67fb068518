"""A multirun becomes one Job, and its pods train it."""

from __future__ import annotations

import os
import signal

import pytest
from clients import FRAIL, finish, kill, wait_until
from on_cluster import OnCluster

from sweep.plan.trial import State

pytestmark = [pytest.mark.kube, pytest.mark.stack]


def test_the_same_command_trains_in_pods_of_one_job(on_cluster: OnCluster) -> None:
    ended = on_cluster.place.multirun("x=1,2,3,4", "epoch_s=0", "hydra.launcher.pack.size=2")

    assert ended.code == 0, ended.err
    assert "cluster=auto" in ended.out
    (job,) = on_cluster.jobs()
    assert job.spec.completions == 2
    records = on_cluster.place.records()
    assert {n: r.state for n, r in records.items()} == dict.fromkeys(range(4), State.COMPLETED)


def test_the_result_is_the_local_one_bit_for_bit(on_cluster: OnCluster) -> None:
    words = ("x=1,2", "train.seed=0,1", "epoch_s=0")

    local = ("hydra.launcher.cluster=local", f"hydra.launcher.store={on_cluster.place.address}")
    here = on_cluster.place.multirun(*words, *local, study="here")
    there = on_cluster.place.multirun(*words, "hydra.launcher.cluster=kubernetes", study="there")

    assert (here.code, there.code) == (0, 0), here.err + there.err
    assert _numbers(on_cluster, "here") == _numbers(on_cluster, "there")


def test_detach_leaves_the_job_and_attach_finishes_the_study(on_cluster: OnCluster) -> None:
    left = on_cluster.place.multirun("x=1,2", "epoch_s=1", "hydra.launcher.detach=true")
    status = on_cluster.place.verb("status", "s")
    attached = on_cluster.place.verb("attach", "s")

    assert left.code == 75
    assert "sweep attach s" in left.err
    assert "detached" in status.out
    assert attached.code == 0, attached.err
    assert len(on_cluster.place.records()) == 2


def test_ctrl_c_leaves_the_job_and_says_how_to_go_on(on_cluster: OnCluster) -> None:
    client = on_cluster.place.start("x=1,2", "epoch_s=4")
    on_cluster.wait_running()
    os.killpg(client.pid, signal.SIGINT)

    ended = finish(client)

    assert ended.code == 130
    assert "sweep attach s" in ended.err
    assert on_cluster.place.verb("attach", "s").code == 0


def test_cancel_ends_the_pods_and_resume_does_the_rest(on_cluster: OnCluster) -> None:
    on_cluster.place.multirun("x=1,2,3,4", "epoch_s=30", "hydra.launcher.detach=true")
    on_cluster.wait_running()

    cancelled = on_cluster.place.verb("cancel", "s")
    records = on_cluster.place.records()
    wait_until(lambda: not on_cluster.running())

    resumed = on_cluster.place.resume()
    on_cluster.wait_running()
    kill(resumed)

    assert cancelled.code == 0, cancelled.err
    assert [job.metadata.name for job in on_cluster.jobs()][-1] == "s-r2"
    assert {record.state for record in records.values()} == {State.CANCELLED}
    assert len(records) == 4


def _numbers(on_cluster: OnCluster, study: str) -> dict[int, object]:
    records = on_cluster.place.records(study)
    return {n: (r.objective, dict(r.metrics), dict(r.history)) for n, r in records.items()}


def test_the_doctor_finds_the_release_and_what_it_names(on_cluster: OnCluster) -> None:
    ended = on_cluster.place.verb("doctor")

    assert ended.code == 0, ended.out
    assert "holds a lease" in ended.out
    assert f"namespace {on_cluster.namespace}; image registry.example/sweep@sha256:" in ended.out


def test_a_plan_shows_the_job_and_asks_whether_it_would_be_taken(on_cluster: OnCluster) -> None:
    ended = on_cluster.place.python(
        str(FRAIL), "x=1,2", "hydra.launcher.dry=true", "hydra.launcher.check=true", "-m"
    )

    assert ended.code == 0, ended.err
    assert "completionMode: Indexed" in ended.out
    assert "would take it" in ended.out
    assert on_cluster.jobs() == []


def test_a_pods_log_is_read_while_it_lives_and_after(on_cluster: OnCluster) -> None:
    client = on_cluster.place.start("x=1", "epoch_s=3")
    on_cluster.wait_running()
    living = on_cluster.place.verb("logs", "s", "--trial", "0", "-f")
    finish(client)
    after = on_cluster.place.verb("logs", "s")

    assert living.code == 0, living.err
    assert "trials 0" in after.out


def test_a_secret_on_the_command_line_is_refused_before_anything_is_written(
    on_cluster: OnCluster,
) -> None:
    ended = on_cluster.place.multirun("x=1", "+hydra.launcher.env.API_TOKEN=hunter2hunter2")

    assert ended.code == 2
    assert "hydra.launcher.env_from" in ended.err
    assert "hunter2" not in ended.err
    assert on_cluster.place.store.folders() == []


def test_a_study_that_uses_up_its_budget_stops_and_goes_on_with_more(
    on_cluster: OnCluster,
) -> None:
    words = (f"x={','.join(map(str, range(12)))}", "epoch_s=3", "hydra.launcher.pack.size=3")
    budget = "hydra.launcher.budget.cpu_hours=0.001"

    stopped = on_cluster.place.multirun(*words, budget, "hydra.launcher.parallelism=2")
    done = len([r for r in on_cluster.place.records().values() if r.state is State.COMPLETED])
    resumed = on_cluster.place.verb("resume", "s", "--cpu-hours", "1")

    assert "CPU-hours are spent" in stopped.out
    assert done < 12
    assert resumed.code == 0, resumed.out + resumed.err
    deadlines = {job.metadata.name: job.spec.active_deadline_seconds for job in on_cluster.jobs()}
    assert 1200 < deadlines["s-r2"] < 3600, "an hour less what was spent, for up to two pods"
    records = on_cluster.place.records()
    assert {r.state for r in records.values()} == {State.COMPLETED}
    assert len(records) == 12
