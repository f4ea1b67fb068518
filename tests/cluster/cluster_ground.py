"""Give any cluster something to do, and look at what it did.

A ground is a place where workers run: it opens clusters, and finds the process of a worker.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import psutil  # type: ignore[import-untyped]

from sweep.cluster import Cluster, PackEvent, Stage, Work
from sweep.plan.exits import Verdict
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
    "baselines_s": 0.0,
    "baselines_killed": False,
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
