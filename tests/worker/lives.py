"""Studies of one pack, and workers that live on it as in a pod."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sweep.plan import layout
from sweep.plan.packing import Pack
from sweep.plan.records import lines_of
from sweep.plan.round import Base, Offers, Round, Study, round_to_bytes
from sweep.plan.rungs import Rungs
from sweep.plan.trial import Record, State, Trial
from sweep.schema import DEFAULTS, unflatten
from sweep.store import Store, open_store
from sweep.study.opening import add_round, open_study

FRAIL = Path(__file__).parents[1] / "applications" / "frail.py"
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


def make_study(
    folder: Path,
    *,
    trials: int = 3,
    task: str = f"{FRAIL}:frail",
    key: str = "x",
    base: dict[str, Any] | None = None,
    rungs: tuple[int, ...] = (),
    slots: int = 1,
    fused: bool = False,
    offered: int = 0,
    **config: Any,
) -> Store:
    """Write a study of one pack, whose trials have 0, 1, 2 ... as `key`; with rungs, or where
    some are `offered` later, of slots.
    """
    study = Study(
        name="s",
        created=0.0,
        task=task,
        job="frail",
        directory=str(folder),
        limits={"max_attempts": 2},
    )
    place = open_study(open_store(str(folder / "store")), study)
    round_ = Round(
        number=1,
        bases=[Base((), base or {**CONFIG, **config})],
        trials=[
            Trial(number, 0, {key: float(number) if key == "x" else number})
            for number in range(trials)
        ],
        packs=[Pack(0, tuple(range(trials)), fused)],
    )
    if rungs:
        round_ = replace(
            round_,
            packs=[Pack(number, (), fused) for number in range(slots)],
            rungs=Rungs(brackets=(rungs,), factor=3, units=tuple((n,) for n in range(trials))),
        )
    if offered:
        round_ = replace(
            round_,
            packs=[Pack(number, ()) for number in range(slots)],
            trials=round_.trials[: trials - offered],
            offers=Offers(1, trials - offered),
        )
    add_round(place, round_)
    return place


def offer(place: Store, number: int, x: float, *, place_of_offer: int) -> None:
    """Offer a trial to the open slots of the study."""
    round_ = Round(
        number=1, bases=[Base((), CONFIG)], trials=[Trial(number, 0, {"x": x})], packs=[]
    )
    place.write(layout.offer_key(1, place_of_offer), round_to_bytes(round_))


def start(folder: Path, **changes: str) -> subprocess.Popen[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "SWEEP_"))}
    told = {"SWEEP_STORE": str(folder / "store"), "SWEEP_STUDY": "s", "SWEEP_ROUND": "1"}
    told |= {"JOB_COMPLETION_INDEX": "0", "SWEEP_WIDTH": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "sweep.worker"],
        env={**kept, **told, **changes},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, **changes: str) -> tuple[int, str]:
    worker = start(folder, **changes)
    _, err = worker.communicate(timeout=60)
    return worker.returncode, err


def records(place: Store, attempt: int = 1) -> list[tuple[int, State]]:
    return [(record.trial, record.state) for record in lines(place, attempt)]


def lines(place: Store, attempt: int = 1) -> list[Record]:
    found: list[Record] = []
    for key in sorted(place.sizes(layout.pack_prefix(0))):
        file = layout.results_of(key)
        if file and file.attempt == attempt:
            data = place.read(key)
            read, _, _, _ = lines_of(data, where=key, attempt=attempt, part=file.part)
            found += [line.record for line in read]
    return found


def attempt(place: Store, number: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(place.read(layout.attempt_key(0, number)))
    return found


BEGUN, PAUSED, DONE = State.RUNNING, State.PAUSED, State.COMPLETED


def lstm(**changes: Any) -> dict[str, Any]:
    """A small network on the first weeks of the JFK weather (`__` for a dot)."""
    flat = {
        **DEFAULTS,
        "data.time": "time_hour",
        "data.target": ["temp"],
        "data.covariates": ["dewp", "humid"],
        "data.lookback": 12,
        "data.horizon": 6,
        "data.split": [200, 60, 60],
        "model.hidden_size": 4,
        "model.num_layers": 2,
        "model.dropout": 0.2,
        "train.epochs": 60,
        "train.device": "cpu",
        "train.patience": None,
        **{key.replace("__", "."): value for key, value in changes.items()},
    }
    return unflatten(flat)


def wait_until(happened: Callable[[], bool], worker: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240  # a busy machine takes its time to start a process
    while not happened():
        assert worker.poll() is None, worker.communicate()
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def begun(place: Store, attempt: int = 1) -> Callable[[], bool]:
    return lambda: any(record.state is BEGUN for record in lines(place, attempt))


def tell_to_stop(worker: subprocess.Popen[str]) -> tuple[int, str]:
    """Send SIGTERM; return the exit code and what was printed."""
    worker.send_signal(signal.SIGTERM)
    _, err = worker.communicate(timeout=30)
    return worker.returncode, err
