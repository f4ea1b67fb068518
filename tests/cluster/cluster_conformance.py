"""What every cluster has to do; a test class per kind of cluster inherits it and names its ground.

A ground is a place where workers run: it opens clusters, and finds the process of a worker.
"""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import psutil  # type: ignore[import-untyped]
import pytest

from sweep.cluster import Cluster, PackEvent, Stage, Work
from sweep.plan.exits import Exit, Verdict
from sweep.plan.packing import Pack
from sweep.plan.round import Base, Round, Study, round_hash
from sweep.plan.trial import State, Trial
from sweep.store import open_store
from sweep.study.opening import add_round, open_study
from sweep.study.studied import studied

FRAIL = Path(__file__).parents[1] / "applications" / "frail.py"
WORKERS = 2
CONFIG: dict[str, Any] = {
    "x": 1.0,
    "epochs": 3,
    "epoch_s": 0.0,
    "fault": "none",
    "baselines_work": True,
    "train": {"seed": 0},
}
# A pod's own process ends where it imports the task, a local worker where it trains: it is a fork
# of the one that imported it.
LEAVING = """
import os, sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, {applications!r})
import frail as known

lives = Path(__file__).with_suffix(".lives")

def leave():
    with lives.open("a") as file:
        file.write(".")
    if lives.stat().st_size <= {times}:
        os._exit({code})

if os.environ.get("JOB_COMPLETION_INDEX") == "0":
    leave()

def run(tree, on_epoch):
    if "JOB_COMPLETION_INDEX" not in os.environ and tree["x"] == 0:
        leave()
    return known.run(tree, on_epoch)

def frail(cfg): ...

frail.sweep_application = replace(known.frail.sweep_application, run=run)
"""


class Ground(Protocol):
    """Where workers of one kind of cluster run; `folder` is one that they see too."""

    folder: Path
    store: str  # address, for us and for them
    ends_s: float  # within which a round of a second ends, repeats included

    def open(self) -> Cluster:
        """Open a cluster that keeps WORKERS packs running."""

    def worker(self, work: Work, event: PackEvent) -> psutil.Process:
        """Find the process of a pack that has started."""


class ClusterConformance:
    @pytest.fixture
    def ground(self) -> Ground:
        raise NotImplementedError("return a ground on which nothing runs")

    def test_every_pack_starts_and_ends_once(self, ground: Ground) -> None:
        cluster, work = ground.open(), make_work(ground)
        cluster.submit(work)

        events = follow(cluster, ground)

        assert sorted(e.pack for e in events if e.stage is Stage.STARTED) == [0, 1, 2, 3]
        assert [verdicts(events, pack) for pack in range(4)] == [[Verdict.DONE]] * 4
        assert states(work) == [State.COMPLETED] * 4

    def test_no_more_run_at_once_than_there_are_workers(self, ground: Ground) -> None:
        cluster = ground.open()
        cluster.submit(make_work(ground, packs=5, epoch_s=0.1))

        running = most = 0
        for event in follow(cluster, ground):
            running += {Stage.STARTED: 1, Stage.ENDED: -1, Stage.NOTE: 0}[event.stage]
            most = max(most, running)

        assert most <= WORKERS

    def test_a_round_that_is_submitted_twice_is_taken_once(self, ground: Ground) -> None:
        cluster, work = ground.open(), make_work(ground)
        cluster.submit(work)
        cluster.submit(replace(work))

        ended = [e.pack for e in follow(cluster, ground) if e.stage is Stage.ENDED]

        assert sorted(ended) == [0, 1, 2, 3]

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

    def test_it_is_finished_once_nothing_runs_or_waits(self, ground: Ground) -> None:
        cluster, work = ground.open(), make_work(ground, packs=1, epoch_s=0.5)
        cluster.submit(work)
        wait_for(cluster, Stage.STARTED)

        assert not cluster.finished
        follow(cluster, ground)
        assert cluster.finished

    def test_waiting_for_news_ends_where_there_are_none(self, ground: Ground) -> None:
        cluster, work = ground.open(), make_work(ground, packs=1, epoch_s=2.0)
        cluster.submit(work)
        wait_for(cluster, Stage.STARTED)

        before = time.monotonic()
        events = cluster.observe(0.3)

        assert events == []
        assert 0.2 < time.monotonic() - before < 1.5
        cluster.stop(5.0)

    def test_a_round_ends_where_a_worker_says_that_nothing_runs(self, ground: Ground) -> None:
        cluster = ground.open()
        cluster.submit(leaving(ground, Exit.NOTHING_RUNS, packs=6, epoch_s=0.3))

        events = follow(cluster, ground)

        assert [e.pack for e in events if e.verdict is Verdict.FAIL_ROUND] == [0]
        assert lives(ground) == 1
        assert Verdict.DONE not in verdicts(events, 5)

    def test_a_pack_alone_is_given_up_where_its_worker_says_so(self, ground: Ground) -> None:
        cluster, work = ground.open(), leaving(ground, Exit.PACK_FAILS)
        cluster.submit(work)

        events = follow(cluster, ground)

        assert verdicts(events, 0)[-1] is Verdict.FAIL_PACK
        assert lives(ground) == 1
        assert states(work) == [State.COMPLETED] * 3

    @pytest.mark.parametrize("code", [Exit.STORE_AWAY, Exit.TOLD_TO_STOP])
    def test_an_end_that_is_nobody_s_fault_is_repeated_and_not_counted(
        self, ground: Ground, code: Exit
    ) -> None:
        cluster, work = ground.open(), leaving(ground, code, packs=1, max_attempts=1)
        cluster.submit(work)

        events = follow(cluster, ground)

        assert verdicts(events, 0) == [Verdict.AGAIN, Verdict.DONE]
        assert lives(ground) == 2

    def test_any_other_end_counts_and_is_repeated(self, ground: Ground) -> None:
        cluster = ground.open()
        cluster.submit(leaving(ground, 7, packs=1, max_attempts=2))

        events = follow(cluster, ground)

        assert verdicts(events, 0) == [Verdict.COUNT, Verdict.DONE]
        assert lives(ground) == 2

    def test_a_pack_that_keeps_ending_so_is_given_up(self, ground: Ground) -> None:
        cluster, work = ground.open(), leaving(ground, 7, times=9, packs=2, max_attempts=2)
        cluster.submit(work)

        events = follow(cluster, ground)

        assert verdicts(events, 0)[-1] is Verdict.FAIL_PACK
        assert verdicts(events, 1) == [Verdict.DONE]
        assert lives(ground) == 2

    def test_a_person_is_told_how_a_worker_ended(self, ground: Ground) -> None:
        cluster = ground.open()
        cluster.submit(leaving(ground, 7, packs=1, max_attempts=1))

        ends = [e for e in follow(cluster, ground) if e.stage is Stage.ENDED]

        assert all("exit code 7" in event.text for event in ends)
        assert ends[0].code == 7

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


def make_work(
    ground: Ground,
    *,
    packs: int = 4,
    task: str = f"{FRAIL}:frail",
    max_attempts: int = 3,
    **config: Any,
) -> Work:
    """Write a study of one trial a pack, as a conductor would."""
    store = open_store(ground.store)
    name = f"s-{secrets.token_hex(4)}"
    study = Study(name=name, created=0.0, task=task, job="frail", directory=str(ground.folder))
    round_ = Round(
        number=1,
        bases=[Base((), {**CONFIG, **config})],
        trials=[Trial(number, 0, {"x": float(number)}) for number in range(packs)],
        packs=[Pack(number, (number,)) for number in range(packs)],
    )
    add_round(open_study(store, study), round_)
    return Work(
        store=store.url,
        study=name,
        round=1,
        round_hash=round_hash(round_),
        packs=list(range(packs)),
        task=task,
        tracking="",
        code="",
        max_attempts=max_attempts,
    )


def leaving(ground: Ground, code: int, *, times: int = 1, packs: int = 4, **changes: Any) -> Work:
    """Write a study whose first pack's worker ends by itself, so often, with an exit code."""
    text = LEAVING.format(applications=str(FRAIL.parent), code=int(code), times=times)
    (ground.folder / "leaving.py").write_text(text)
    return make_work(ground, packs=packs, task="leaving.py:frail", **changes)


def lives(ground: Ground) -> int:
    """Count how often the worker of `leaving` was started."""
    return len((ground.folder / "leaving.lives").read_text())


def states(work: Work) -> list[State]:
    """List the states of the trials that have a record."""
    place = open_store(work.store).at(work.study)
    state = studied(place, Study(name=work.study, created=0.0, task="", job=""), [])
    return [record.state for record in state.records.values()]


def lives_of_packs(work: Work) -> list[int]:
    """Count the attempts of each pack that was begun."""
    keys = open_store(work.store).at(work.study).sizes("packs/")
    claimed = [key.split("/")[1] for key in keys if "/attempt-" in key]
    return [claimed.count(pack) for pack in sorted(set(claimed))]


def verdicts(events: Sequence[PackEvent], pack: int | None = None) -> list[Verdict | None]:
    ends = [event for event in events if event.stage is Stage.ENDED]
    return [event.verdict for event in ends if pack is None or event.pack == pack]


def follow(cluster: Cluster, ground: Ground) -> list[PackEvent]:
    """Follow a round to its end, as a conductor does."""
    deadline = time.monotonic() + ground.ends_s
    events: list[PackEvent] = []
    while not cluster.finished:
        events.extend(cluster.observe(0.2))
        assert time.monotonic() < deadline, events
    return events


def wait_for(cluster: Cluster, stage: Stage) -> PackEvent:
    for _ in range(300):
        for event in cluster.observe(0.2):
            if event.stage is stage:
                return event
    raise AssertionError(f"nothing {stage.value}")


def wait_until(happened: Callable[[], bool], *, within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
