"""What every cluster has to do; a test class per kind of cluster inherits it and names its ground.

Each test is one round of real workers, so what one round can show together stands together.
"""

from __future__ import annotations

import signal
import time
from dataclasses import replace

import pytest
from cluster_ground import (
    WORKERS,
    Ground,
    alive,
    follow,
    leaving,
    lives,
    lives_of_packs,
    make_work,
    states,
    verdicts,
    wait_for,
    wait_until,
)

from sweep.cluster import Stage
from sweep.plan.exits import Exit, Verdict
from sweep.plan.trial import State


class ClusterConformance:
    @pytest.fixture
    def ground(self) -> Ground:
        raise NotImplementedError("return a ground on which nothing runs")

    def test_every_pack_starts_and_ends_once_however_often_it_is_submitted(
        self, ground: Ground
    ) -> None:
        cluster, work = ground.open(), make_work(ground)
        cluster.submit(work)
        cluster.submit(replace(work))

        events = follow(cluster, ground)

        assert sorted(e.pack for e in events if e.stage is Stage.STARTED) == [0, 1, 2, 3]
        assert [verdicts(events, pack) for pack in range(4)] == [[Verdict.DONE]] * 4
        assert states(work) == [State.COMPLETED] * 4

    def test_no_more_run_at_once_than_there_are_workers(self, ground: Ground) -> None:
        cluster = ground.open()
        cluster.submit(make_work(ground, packs=WORKERS + 1, epoch_s=0.1))

        running = most = 0
        for event in follow(cluster, ground):
            running += {Stage.STARTED: 1, Stage.ENDED: -1, Stage.NOTE: 0}[event.stage]
            most = max(most, running)

        assert most <= WORKERS

    def test_nothing_is_adopted_where_nothing_runs(self, ground: Ground) -> None:
        assert not ground.open().adopt(make_work(ground))

    def test_what_outlasts_its_client_is_taken_once_and_can_be_followed_by_another(
        self, ground: Ground
    ) -> None:
        first, work = ground.open(), make_work(ground, epoch_s=0.2)
        first.submit(work)
        wait_for(first, Stage.STARTED)
        again, other = ground.open(), ground.open()

        if not first.lasting:
            assert not other.adopt(work)
            return
        again.submit(work)
        assert other.adopt(work)
        follow(again, ground)
        follow(other, ground)

        assert states(work) == [State.COMPLETED] * 4
        assert lives_of_packs(work) == [1, 1, 1, 1]

    def test_it_is_finished_once_nothing_runs_and_without_news_a_wait_ends(
        self, ground: Ground
    ) -> None:
        cluster, work = ground.open(), make_work(ground, packs=1, epoch_s=1.0)
        cluster.submit(work)
        wait_for(cluster, Stage.STARTED)

        before = time.monotonic()
        events = cluster.observe(0.3)

        assert events == []
        assert 0.2 < time.monotonic() - before < 1.5
        assert not cluster.finished
        follow(cluster, ground)
        assert cluster.finished

    def test_a_round_ends_where_a_worker_says_that_nothing_runs(self, ground: Ground) -> None:
        cluster = ground.open()
        cluster.submit(leaving(ground, Exit.NOTHING_RUNS, packs=6, epoch_s=0.3))

        events = follow(cluster, ground)

        assert [e.pack for e in events if e.verdict is Verdict.FAIL_ROUND] == [0]
        assert lives(ground) == 1
        assert Verdict.DONE not in verdicts(events, 5)

    def test_a_pack_alone_is_given_up_where_its_worker_says_so(self, ground: Ground) -> None:
        cluster, work = ground.open(), leaving(ground, Exit.PACK_FAILS, packs=2)
        cluster.submit(work)

        events = follow(cluster, ground)

        assert verdicts(events, 0)[-1] is Verdict.FAIL_PACK
        assert lives(ground) == 1
        assert states(work) == [State.COMPLETED]

    def test_a_store_that_is_away_is_nobody_s_fault_and_not_counted(self, ground: Ground) -> None:
        cluster, work = ground.open(), leaving(ground, Exit.STORE_AWAY, packs=1, max_attempts=1)
        cluster.submit(work)

        events = follow(cluster, ground)

        assert verdicts(events, 0) == [Verdict.AGAIN, Verdict.DONE]
        assert lives(ground) == 2

    def test_any_other_end_counts_is_told_and_repeated_until_the_pack_is_given_up(
        self, ground: Ground
    ) -> None:
        cluster, work = ground.open(), leaving(ground, 7, times=9, packs=2, max_attempts=2)
        cluster.submit(work)

        events = follow(cluster, ground)

        first, *_, last = [e for e in events if e.stage is Stage.ENDED and e.pack == 0]
        assert (first.verdict, last.verdict) == (Verdict.COUNT, Verdict.FAIL_PACK)
        assert first.code == 7
        assert "exit code 7" in first.text
        assert "exit code 7" in last.text
        assert verdicts(events, 1) == [Verdict.DONE]
        assert lives(ground) == 2

    def test_a_worker_that_is_killed_is_repeated(self, ground: Ground) -> None:
        cluster, work = ground.open(), make_work(ground, packs=1, epoch_s=0.5)
        cluster.submit(work)

        ground.worker(work, wait_for(cluster, Stage.STARTED)).kill()

        dead = wait_for(cluster, Stage.ENDED)
        assert dead.verdict is Verdict.COUNT
        assert dead.code in (-signal.SIGKILL, 128 + signal.SIGKILL)
        assert "killed" in dead.text
        assert verdicts(follow(cluster, ground), 0) == [Verdict.DONE]
        assert states(work) == [State.COMPLETED]

    def test_a_worker_that_is_told_to_stop_is_repeated_and_that_is_not_counted(
        self, ground: Ground
    ) -> None:
        cluster, work = ground.open(), make_work(ground, packs=1, max_attempts=1, epoch_s=0.5)
        cluster.submit(work)
        worker = ground.worker(work, wait_for(cluster, Stage.STARTED))
        wait_until(lambda: bool(lives_of_packs(work)))  # until it listens

        worker.terminate()

        assert wait_for(cluster, Stage.ENDED).verdict is Verdict.AGAIN
        assert verdicts(follow(cluster, ground), 0) == [Verdict.DONE]

    def test_stopping_ends_what_runs_and_what_waits(self, ground: Ground) -> None:
        cluster, work = ground.open(), make_work(ground, epoch_s=30)
        cluster.submit(work)
        worker = ground.worker(work, wait_for(cluster, Stage.STARTED))

        cluster.stop(5.0)

        assert cluster.finished
        wait_until(lambda: not alive(worker), within_s=2.0)
        assert len(lives_of_packs(work)) <= WORKERS
