"""The local cluster runs packs in real processes, and repeats them as a Job would."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from sweep.cluster import PackEvent, Stage, Work
from sweep.cluster.local import LocalCluster
from sweep.errors import BadInput
from sweep.plan.exits import Verdict
from sweep.plan.packing import Pack
from sweep.plan.round import Base, Round, Study, round_hash
from sweep.plan.trial import Trial
from sweep.store import open_store
from sweep.study.opening import add_round, open_study
from sweep.study.studied import studied

FRAIL = Path(__file__).parents[1] / "applications" / "frail.py"
CONFIG: dict[str, Any] = {
    "x": 1.0,
    "epochs": 3,
    "epoch_s": 0.0,
    "fault": "none",
    "baselines_work": True,
    "train": {"seed": 0},
}


@pytest.fixture(autouse=True)
def _untracked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    cluster = LocalCluster(workers=2)
    yield cluster
    cluster.stop(1.0)


def make_work(
    folder: Path,
    *,
    packs: int = 4,
    task: str = f"{FRAIL}:frail",
    max_attempts: int = 3,
    **config: Any,
) -> Work:
    """Write a study of one trial a pack, as a conductor would."""
    store = open_store(str(folder / "store"))
    study = Study(name="s", created=0.0, task=task, job="frail", directory=str(folder))
    round_ = Round(
        number=1,
        bases=[Base((), {**CONFIG, **config})],
        trials=[Trial(number, 0, {"x": float(number)}) for number in range(packs)],
        packs=[Pack(number, (number,)) for number in range(packs)],
    )
    add_round(open_study(store, study), round_)
    return Work(
        store=store.url,
        study="s",
        round=1,
        round_hash=round_hash(round_),
        packs=list(range(packs)),
        task=task,
        tracking="",
        code="",
        max_attempts=max_attempts,
    )


def follow(cluster: LocalCluster, *, within_s: float = 60.0) -> list[PackEvent]:
    deadline = time.monotonic() + within_s
    events: list[PackEvent] = []
    while not cluster.finished:
        events.extend(cluster.observe(0.2))
        assert time.monotonic() < deadline, events
    return events


def first(cluster: LocalCluster, stage: Stage) -> PackEvent:
    for _ in range(300):
        for event in cluster.observe(0.2):
            if event.stage is stage:
                return event
    raise AssertionError(f"nothing {stage.value}")


def pid_of(event: PackEvent) -> int:
    found = re.fullmatch(r"process (\d+)", event.text)
    assert found
    return int(found[1])


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def results(folder: Path) -> int:
    place = open_store(str(folder / "store")).at("s")
    return len(studied(place, Study(name="s", created=0.0, task="", job=""), []).records)


def test_every_pack_starts_and_ends_once(tmp_path: Path, cluster: LocalCluster) -> None:
    cluster.submit(make_work(tmp_path))

    events = follow(cluster)

    for stage in Stage:
        assert sorted(event.pack for event in events if event.stage is stage) == [0, 1, 2, 3]
    ends = [event for event in events if event.stage is Stage.ENDED]
    assert {event.verdict for event in ends} == {Verdict.DONE}
    assert results(tmp_path) == 4


def test_no_more_run_at_once_than_there_are_workers(tmp_path: Path, cluster: LocalCluster) -> None:
    cluster.submit(make_work(tmp_path, packs=6, epoch_s=0.05))

    running = most = 0
    for event in follow(cluster):
        running += 1 if event.stage is Stage.STARTED else -1
        most = max(most, running)

    assert most == 2


def test_a_round_that_is_submitted_twice_is_taken_once(
    tmp_path: Path, cluster: LocalCluster
) -> None:
    work = make_work(tmp_path)
    cluster.submit(work)
    cluster.submit(work)

    assert len(follow(cluster)) == 8


def test_a_worker_that_is_killed_is_repeated(tmp_path: Path, cluster: LocalCluster) -> None:
    cluster.submit(make_work(tmp_path, packs=1, epoch_s=0.3))

    os.kill(pid_of(first(cluster, Stage.STARTED)), signal.SIGKILL)

    dead = first(cluster, Stage.ENDED)
    assert dead.verdict is Verdict.COUNT
    assert dead.code == -signal.SIGKILL
    assert "killed" in dead.text
    assert [event.verdict for event in follow(cluster)][-1] is Verdict.DONE
    assert results(tmp_path) == 1


def test_a_pack_that_keeps_dying_is_given_up(tmp_path: Path, cluster: LocalCluster) -> None:
    cluster.submit(make_work(tmp_path, packs=1, epoch_s=30, max_attempts=2))

    for _ in range(2):
        os.kill(pid_of(first(cluster, Stage.STARTED)), signal.SIGKILL)
        last = first(cluster, Stage.ENDED)

    assert last.verdict is Verdict.FAIL_PACK
    assert cluster.finished


def test_a_worker_that_is_told_to_stop_is_repeated_and_that_is_not_counted(
    tmp_path: Path, cluster: LocalCluster
) -> None:
    cluster.submit(make_work(tmp_path, packs=1, epoch_s=0.3, max_attempts=1))
    started = first(cluster, Stage.STARTED)
    time.sleep(0.2)  # until it listens

    os.kill(pid_of(started), signal.SIGTERM)

    assert first(cluster, Stage.ENDED).verdict is Verdict.AGAIN
    assert [event.verdict for event in follow(cluster)][-1] is Verdict.DONE


def test_stopping_ends_what_runs_and_what_waits(tmp_path: Path, cluster: LocalCluster) -> None:
    cluster.submit(make_work(tmp_path, epoch_s=30))
    pid = pid_of(first(cluster, Stage.STARTED))

    before = time.monotonic()
    cluster.stop(5.0)

    assert time.monotonic() - before < 5
    assert cluster.finished
    assert not alive(pid)


def test_workers_that_do_not_listen_are_killed_after_the_grace(
    tmp_path: Path, cluster: LocalCluster
) -> None:
    (tmp_path / "deaf.py").write_text(DEAF)
    cluster.submit(make_work(tmp_path, packs=1, task="deaf.py:frail"))
    pid = pid_of(first(cluster, Stage.STARTED))
    for _ in range(300):
        if (tmp_path / "deaf").exists():
            break
        time.sleep(0.05)

    assert alive(pid)
    cluster.stop(0.5)

    for _ in range(100):
        if not alive(pid):
            return
        time.sleep(0.02)
    raise AssertionError("it still runs")


DEAF = f"""
import signal, sys, time
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, {str(FRAIL.parent)!r})
import frail as known

def run(tree, on_epoch):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path("deaf").touch()
    time.sleep(60)

def frail(cfg): ...

frail.sweep_application = replace(known.frail.sweep_application, run=run)
"""


@pytest.mark.parametrize(
    ("task", "line"),
    [
        ("no_such_module:train", "no_such_module cannot be imported"),
        ("absent.py:train", "absent.py does not exist"),
        (f"{FRAIL}:gone", "has no function 'gone'"),
    ],
)
def test_a_task_that_no_worker_can_load_is_refused(
    tmp_path: Path, cluster: LocalCluster, task: str, line: str
) -> None:
    cluster.submit(make_work(tmp_path, task=task))

    with pytest.raises(BadInput, match=line):
        follow(cluster)
