"""A pod with several GPUs trains an array on each; nothing here needs one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lives import BEGUN, DONE, PAUSED, attempt, lines, lstm, make_study, wait_until

from sweep.plan import layout
from sweep.plan.exits import Exit
from sweep.plan.records import lines_of
from sweep.plan.trial import Record
from sweep.store import Store
from sweep.worker.arrays import gpu_names, shares

LIFE = """
import pathlib, sys
from sweep.worker import __main__, environment
environment.DEVICES = pathlib.Path(sys.argv[1])  # as the driver lays them out
sys.exit(__main__.main([]))
"""
TRIALS = 5


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    folder = tmp_path / "dev"
    folder.mkdir()
    for name in ("nvidia0", "nvidia3", "nvidiactl", "nvidia-uvm"):
        (folder / name).touch()
    return folder


def make_pack(folder: Path, **changes: Any) -> Store:
    options: dict[str, Any] = {"task": "sweep.app:train", "key": "train.seed", "fused": True}
    rungs = changes.pop("rungs", ())
    base = lstm(train__backend="array", **changes)
    return make_study(folder, trials=TRIALS, base=base, rungs=rungs, **options)


def start(folder: Path, devices: Path, **changes: str) -> subprocess.Popen[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "SWEEP_"))}
    told = {"SWEEP_STORE": str(folder / "store"), "SWEEP_STUDY": "s", "SWEEP_ROUND": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", LIFE, str(devices)],
        env={**kept, **told, "JOB_COMPLETION_INDEX": "0", **changes},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def live(folder: Path, devices: Path) -> tuple[int, str]:
    worker = start(folder, devices)
    _, err = worker.communicate(timeout=240)
    return worker.returncode, err


def by_part(place: Store) -> dict[int, set[int]]:
    """Tell which trials each process of the first attempt wrote of."""
    found = {}
    for key in place.sizes(layout.pack_prefix(0)):
        file = layout.results_of(key)
        if file:
            read, _, _, _ = lines_of(place.read(key), where=key, attempt=1, part=file.part)
            found[file.part] = {line.record.trial for line in read}
    return found


def ended(place: Store, *attempts: int) -> dict[int, Record]:
    found = [line for number in attempts for line in lines(place, number)]
    return {line.trial: line for line in found if line.state.terminal}


def test_a_pods_gpus_are_counted_from_0_unless_the_environment_names_them() -> None:
    assert gpu_names({}, 2) == ["0", "1"]
    assert gpu_names({"CUDA_VISIBLE_DEVICES": "GPU-5ac,GPU-7b1"}, 2) == ["GPU-5ac", "GPU-7b1"]


def test_trials_are_dealt_in_turn() -> None:
    assert shares(range(5), 2) == [(0, 2, 4), (1, 3)]
    assert shares([], 2) == [(), ()]


@pytest.mark.slow
def test_each_gpu_trains_its_share_at_the_same_time(tmp_path: Path, devices: Path) -> None:
    place = make_pack(tmp_path, train__epochs=3)

    code, err = live(tmp_path, devices)

    assert code == Exit.DONE, err
    assert by_part(place) == {1: {0, 2, 4}, 2: {1, 3}}
    assert {record.state for record in ended(place, 1).values()} == {DONE}
    assert attempt(place, 1)["gpus"] == 2
    assert "GPU 0 trains 3 trials" in err
    assert "GPU 1 trains 2 trials" in err


@pytest.mark.slow
def test_told_to_stop_every_array_keeps_its_trials_and_the_next_attempt_goes_on(
    tmp_path: Path, devices: Path
) -> None:
    place = make_pack(tmp_path, train__epochs=40)
    worker = start(tmp_path, devices)

    def all_begun() -> bool:
        return len({line.trial for line in lines(place) if line.state is BEGUN}) == TRIALS

    wait_until(all_begun, worker)
    worker.send_signal(signal.SIGTERM)
    _, err = worker.communicate(timeout=120)
    assert worker.returncode == Exit.TOLD_TO_STOP, err
    resting = {line.trial for line in lines(place, 1) if line.state is PAUSED}
    assert resting | set(ended(place, 1)) == set(range(TRIALS))

    code, err = live(tmp_path, devices)

    assert code == Exit.DONE, err
    assert sorted(ended(place, 1, 2)) == list(range(TRIALS))


@pytest.mark.slow
def test_where_one_array_dies_the_others_keep_their_trials_and_the_attempt_is_open(
    tmp_path: Path, devices: Path
) -> None:
    place = make_pack(tmp_path, train__epochs=60)
    worker = start(tmp_path, devices)

    def all_begun() -> bool:
        return len({line.trial for line in lines(place) if line.state is BEGUN}) == TRIALS

    wait_until(all_begun, worker)
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    _, first, _ = children  # before it, what keeps the pod's output
    os.kill(int(first), signal.SIGKILL)
    _, err = worker.communicate(timeout=120)

    assert worker.returncode == 1
    assert "the array on GPU 0: killed" in err
    assert "closed" not in attempt(place, 1)
    told = {line.trial for line in lines(place, 1) if line.state is PAUSED}
    assert told <= {1, 3}
    code, err = live(tmp_path, devices)
    assert code == Exit.DONE, err
    assert sorted(ended(place, 1, 2)) == list(range(TRIALS))


@pytest.mark.slow
def test_slots_of_a_search_by_halving_claim_on_every_gpu(tmp_path: Path, devices: Path) -> None:
    place = make_pack(tmp_path, train__epochs=4, rungs=(1, 4))

    code, err = live(tmp_path, devices)

    assert code == Exit.DONE, err
    assert sorted(ended(place, 1)) == list(range(TRIALS))
