"""A worker in a pod: a pack by the environment in, records and an exit code out."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sweep.plan import layout
from sweep.plan.exits import Exit
from sweep.plan.packing import Pack
from sweep.plan.records import lines_of, to_line
from sweep.plan.round import Base, Round, Study
from sweep.plan.trial import Record, State, Trial
from sweep.store import Store, open_store
from sweep.study.opening import add_round, open_study

FRAIL = Path(__file__).parents[1] / "applications" / "frail.py"
CONFIG: dict[str, Any] = {
    "x": 1.0,
    "epochs": 3,
    "epoch_s": 0.0,
    "fault": "none",
    "baselines_work": True,
    "train": {"seed": 0},
}


def make_study(
    folder: Path, *, trials: int = 3, task: str = f"{FRAIL}:frail", **config: Any
) -> Store:
    """Write a study of one pack."""
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
        bases=[Base((), {**CONFIG, **config})],
        trials=[Trial(number, 0, {"x": float(number)}) for number in range(trials)],
        packs=[Pack(0, tuple(range(trials)))],
    )
    add_round(place, round_)
    return place


def start(folder: Path, **changes: str) -> subprocess.Popen[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "SWEEP_"))}
    told = {"SWEEP_STORE": str(folder / "store"), "SWEEP_STUDY": "s", "SWEEP_ROUND": "1"}
    told |= {"JOB_COMPLETION_INDEX": "0"}
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
    data = place.read(layout.results_key(0, attempt))
    found, _, _, _ = lines_of(data, where="results", attempt=attempt, part=1)
    return [(line.record.trial, line.record.state) for line in found]


def attempt(place: Store, number: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(place.read(layout.attempt_key(0, number)))
    return found


BEGUN, DONE = State.RUNNING, State.COMPLETED


def test_every_trial_of_the_pack_is_begun_and_recorded(tmp_path: Path) -> None:
    place = make_study(tmp_path)

    code, _ = run(tmp_path)

    assert code == Exit.DONE
    assert records(place) == [(0, BEGUN), (0, DONE), (1, BEGUN), (1, DONE), (2, BEGUN), (2, DONE)]
    assert attempt(place, 1)["reason"] == "done"


def test_a_trial_that_fails_is_a_result(tmp_path: Path) -> None:
    place = make_study(tmp_path, fault="error")

    code, _ = run(tmp_path)

    assert code == Exit.DONE
    assert [state for _, state in records(place)[1::2]] == [State.FAILED] * 3
    assert len(place.sizes(layout.FAILURES)) == 3


def test_a_trial_that_exits_is_that_trial_s_failure(tmp_path: Path) -> None:
    place = make_study(tmp_path, fault="exit")

    code, _ = run(tmp_path)

    assert code == Exit.DONE
    lines, _, _, _ = lines_of(
        place.read(layout.results_key(0, 1)), where="results", attempt=1, part=1
    )
    error = lines[1].record.error
    assert error is not None
    assert (error.type, error.text) == ("SystemExit", "exit(7)")


def test_the_next_attempt_begins_where_the_last_one_ended(tmp_path: Path) -> None:
    place = make_study(tmp_path)
    place.create(layout.attempt_key(0, 1), b'{"claimed": 0}')
    place.append(layout.results_key(0, 1), to_line(Record(0, DONE, 0.5)))
    place.append(layout.results_key(0, 1), to_line(Record(1, BEGUN)))

    code, _ = run(tmp_path)

    assert code == Exit.DONE
    assert records(place, 2) == [(1, BEGUN), (1, DONE), (2, BEGUN), (2, DONE)]


def test_a_trial_that_cost_all_its_attempts_fails_without_another(tmp_path: Path) -> None:
    place = make_study(tmp_path)
    for number in (1, 2):
        place.create(layout.attempt_key(0, number), b'{"claimed": 0}')
        place.append(layout.results_key(0, number), to_line(Record(1, BEGUN, attempt=number)))

    code, _ = run(tmp_path)

    assert code == Exit.DONE
    assert records(place, 3) == [(0, BEGUN), (0, DONE), (1, State.FAILED), (2, BEGUN), (2, DONE)]


def test_a_pack_whose_attempts_all_die_before_a_trial_is_given_up(tmp_path: Path) -> None:
    place = make_study(tmp_path)
    for number in (1, 2):
        place.create(layout.attempt_key(0, number), b'{"claimed": 0}')

    code, _ = run(tmp_path)

    assert code == Exit.PACK_FAILS


def test_two_workers_never_share_an_attempt(tmp_path: Path) -> None:
    place = make_study(tmp_path, epoch_s=0.05)

    workers = [start(tmp_path), start(tmp_path)]
    for worker in workers:
        worker.communicate(timeout=60)

    assert [worker.returncode for worker in workers] == [Exit.DONE] * 2
    assert {attempt(place, number)["reason"] for number in (1, 2)} == {"done"}
    assert layout.attempt_key(0, 3) not in place.sizes(layout.PACKS)


def test_a_worker_that_is_told_to_stop_closes_its_attempt_and_leaves_its_trial(
    tmp_path: Path,
) -> None:
    place = make_study(tmp_path, epoch_s=30.0)
    worker = start(tmp_path)
    while layout.results_key(0, 1) not in place.sizes(layout.PACKS):
        assert worker.poll() is None
        time.sleep(0.05)

    worker.send_signal(signal.SIGTERM)

    worker.communicate(timeout=20)
    assert worker.returncode == Exit.TOLD_TO_STOP
    assert attempt(place, 1)["reason"] == "told to stop"
    assert records(place) == [(0, BEGUN)]


def test_a_study_that_is_to_stop_cancels_what_has_not_begun(tmp_path: Path) -> None:
    place = make_study(tmp_path)
    place.create(layout.STOP, b"{}")

    code, _ = run(tmp_path)

    assert code == Exit.DONE
    assert records(place) == [(number, State.CANCELLED) for number in range(3)]


def test_a_store_that_cannot_be_written_ends_the_worker_and_is_nobody_s_fault(
    tmp_path: Path,
) -> None:
    place = make_study(tmp_path)
    (tmp_path / "store" / "s" / "packs").write_text("a file in the way")

    code, err = run(tmp_path)

    assert code == Exit.STORE_AWAY
    assert "restore the folder" in err
    assert "Traceback" not in err
    assert place.sizes("rounds/")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"SWEEP_STORE": ""}, "SWEEP_STORE is not set"),
        ({"SWEEP_STUDY": ""}, "SWEEP_STUDY is not set"),
        ({"SWEEP_STUDY": "other"}, "other/study.json does not exist"),
        ({"SWEEP_ROUND": "2"}, "rounds/0002.json does not exist"),
        ({"SWEEP_ROUND": "one"}, "SWEEP_ROUND"),
        ({"JOB_COMPLETION_INDEX": "1"}, "round 1 has 1 packs, none at 1"),
        ({"JOB_COMPLETION_INDEX": "-1"}, "none at -1"),
    ],
)
def test_where_nothing_can_run_one_line_says_why(
    tmp_path: Path, changes: dict[str, str], line: str
) -> None:
    make_study(tmp_path)

    code, err = run(tmp_path, **changes)

    assert code == Exit.NOTHING_RUNS
    assert err.startswith("sweep: ")
    assert err.count("\n") == 1
    assert line in err


@pytest.mark.parametrize("task", ["gone.py:frail", "gone:frail", f"{FRAIL}:gone"])
def test_a_task_that_cannot_be_loaded_is_named(tmp_path: Path, task: str) -> None:
    make_study(tmp_path, task=task)

    code, err = run(tmp_path)

    assert code == Exit.NOTHING_RUNS
    assert "gone" in err
    assert err.count("\n") == 1


def test_a_corrupt_plan_is_named(tmp_path: Path) -> None:
    make_study(tmp_path)
    (tmp_path / "store" / "s" / "rounds" / "0001.json").write_text("{}")

    code, err = run(tmp_path)

    assert code == Exit.NOTHING_RUNS
    assert "s/rounds/0001.json" in err
