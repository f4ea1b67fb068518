"""What a study survives on one machine, with real processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

APPLICATIONS = Path(__file__).parents[1] / "applications"
FRAIL = APPLICATIONS / "frail.py"
HUNGRY = APPLICATIONS / "hungry.py"
MIB = 1 << 20


def environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "SWEEP_"))}
    return {**kept, "PYTHONPATH": str(APPLICATIONS)}


def launch(*words: str, task: Path = FRAIL) -> list[str]:
    extra = [] if task is FRAIL else ["hydra/launcher=kubernetes", "hydra/sweeper=grid"]
    return [sys.executable, str(task), "-m", "hydra.launcher.study=s", *words, *extra]


def verb(*words: str) -> list[str]:
    return [sys.executable, "-m", "sweep", *words]


def run(command: list[str], place: Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=place,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        **options,
    )


def start(command: list[str], place: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=place,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def records(place: Path, store: str = "sweep-store") -> list[dict[str, object]]:
    lines = [
        json.loads(line)
        for file in sorted((place / store / "s" / "packs").glob("*/results-*.jsonl"))
        for line in file.read_text().splitlines()
    ]
    return [line for line in lines if line["state"] != "RUNNING"]


def wait_for_a_record(place: Path) -> None:
    for _ in range(600):
        if records(place):
            return
        time.sleep(0.05)
    raise AssertionError("no trial ended in 30 s")


def kill_without_a_word(client: subprocess.Popen[str], place: Path) -> Path:
    """Kill the client and its workers while a trial runs; return an attempt that stays open."""
    own = psutil.Process(client.pid)
    own.suspend()  # it neither replaces its workers nor tells them to stop
    parent = own.children()[0]
    for _ in range(200):
        stopped = [parent, *parent.children()]
        for process in stopped:
            process.suspend()
        found = [file for file in begun(place) if "closed" not in json.loads(file.read_text())]
        if found:
            for process in (*reversed(stopped), own):
                process.kill()
            client.communicate()
            return found[0]
        for process in stopped:
            process.resume()
        own.resume()  # it gives out the next packs
        time.sleep(0.05)
        own.suspend()
    raise AssertionError("no attempt was under way in 10 s")


def begun(place: Path) -> list[Path]:
    """List the attempts whose trial has begun."""
    packs = place / "sweep-store/s/packs"
    marked = [file.parent for file in sorted(packs.glob("*/results-1-0001.jsonl"))]
    return [folder / "attempt-1.json" for folder in marked]


def states(place: Path) -> dict[str, int]:
    found = [str(record["state"]) for record in records(place)]
    return {state: found.count(state) for state in sorted(set(found))}


def test_a_second_conductor_is_told_who_has_the_study(tmp_path: Path) -> None:
    first = start(launch("x=1,2,3,4", "epoch_s=1"), tmp_path)
    wait_for_a_record(tmp_path)

    second = run(verb("resume", "s"), tmp_path)

    assert second.returncode == 2
    assert f"conducted by process {first.pid} " in second.stderr
    assert second.stderr.count("\n") == 1
    output, _ = first.communicate(timeout=60)
    assert first.returncode == 0, output


def test_max_failed_stops_a_study_that_only_fails(tmp_path: Path) -> None:
    limit = "hydra.launcher.max_failed=5"

    done = run(launch("x=range(0,200)", "fault=error", limit), tmp_path)

    found = states(tmp_path)
    assert done.returncode == 1, done.stderr
    assert 5 < found["FAILED"] < 60
    assert found["FAILED"] + found["CANCELLED"] == 200


def test_beyond_max_failed_resume_says_why_it_trains_nothing(tmp_path: Path) -> None:
    run(launch("x=range(0,30)", "fault=error", "hydra.launcher.max_failed=2"), tmp_path)
    before = states(tmp_path)

    again = run(verb("resume", "s"), tmp_path)

    assert again.returncode == 1
    assert "more than max_failed=2" in again.stdout
    assert "--rerun failed" in again.stdout
    assert states(tmp_path) == before


def test_resume_packs_as_the_study_was_told_to(tmp_path: Path) -> None:
    run(launch("x=range(0,20)", "fault=error", "hydra.launcher.pack.size=5"), tmp_path)

    run(verb("resume", "s", "--rerun", "failed"), tmp_path)

    second = json.loads((tmp_path / "sweep-store/s/rounds/0002.json").read_text())
    assert [len(trials) for _, trials in second["packs"]] == [5, 5, 5, 5]


def test_without_a_limit_200_failures_in_a_row_are_all_told(tmp_path: Path) -> None:
    done = run(launch("x=range(0,200)", "fault=error"), tmp_path)

    assert done.returncode == 1
    assert states(tmp_path) == {"FAILED": 200}
    assert "ZeroDivisionError" in done.stdout
    assert "Traceback" not in done.stderr


def test_rerun_trains_failed_and_infeasible_trials_again(tmp_path: Path) -> None:
    assert run(launch("x=1,2", "fault=error,diverge,none"), tmp_path).returncode == 1

    again = run(verb("resume", "s", "--rerun", "failed,infeasible"), tmp_path)

    second = [record for record in records(tmp_path) if record["round"] == 2]
    assert again.returncode == 1  # they fail as before
    assert sorted(str(record["state"]) for record in second) == ["FAILED"] * 2 + ["INFEASIBLE"] * 2
    assert "6 trials: 2 completed, 2 infeasible and 2 failed." in again.stdout


def test_rerun_refuses_a_state_that_there_is_not(tmp_path: Path) -> None:
    assert run(launch("x=1"), tmp_path).returncode == 0

    refused = run(verb("resume", "s", "--rerun", "faild"), tmp_path)

    assert refused.returncode == 2
    assert "did you mean failed?" in refused.stderr


def test_what_a_given_up_attempt_writes_later_does_not_count(tmp_path: Path) -> None:
    client = start(launch("x=1,2,3,4,5,6", "epoch_s=0.3"), tmp_path)
    wait_for_a_record(tmp_path)
    unfinished = kill_without_a_word(client, tmp_path)
    assert run(verb("resume", "s"), tmp_path).returncode == 0
    before = run(verb("status", "s", "--json"), tmp_path).stdout
    late = unfinished.with_name("results-1-0001.jsonl")
    mark = json.loads(late.read_text().splitlines()[-1])
    ghost = {**mark, "state": "COMPLETED", "objective": -1.0, "value": -1.0, "round": 9}

    with late.open("a") as file:
        file.write(json.dumps(ghost) + "\n")

    assert run(verb("status", "s", "--json"), tmp_path).stdout == before


def test_a_store_that_is_removed_under_way_ends_the_study_with_one_line(tmp_path: Path) -> None:
    client = start(launch("x=range(0,40)", "epoch_s=0.1"), tmp_path)
    wait_for_a_record(tmp_path)

    shutil.rmtree(tmp_path / "sweep-store/s")

    output, _ = client.communicate(timeout=60)
    assert client.returncode == 3, output
    assert "cannot be written" in output
    assert "Traceback" not in output
    assert not (tmp_path / "sweep-store/s").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=192k", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip("a small disk needs the right to mount one")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_ends_the_study_and_resume_completes_it(
    tmp_path: Path, small_disk: Path
) -> None:
    store = f"hydra.launcher.store={small_disk}"
    full = run(launch("x=range(0,60)", "epochs=60", store), tmp_path)
    assert full.returncode == 3, full.stdout + full.stderr
    assert "No space left" in full.stderr
    assert "Traceback" not in full.stderr
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)

    again = run(verb("resume", "s", "--store", str(small_disk)), tmp_path)

    assert again.returncode == 0, again.stdout + again.stderr
    assert "60 trials: 60 completed" in again.stdout


@pytest.fixture
def memory_limit() -> Iterator[Path]:
    for root, limit in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        group = root / f"sweep-test-{os.getpid()}"
        try:
            group.mkdir()
            (group / limit).write_text(str(420 * MIB))
        except OSError:
            if group.is_dir():
                group.rmdir()
            continue
        yield group / "cgroup.procs"
        for _ in range(100):
            try:
                group.rmdir()
                return
            except OSError:
                time.sleep(0.1)
        return
    pytest.skip("a memory limit needs the right to make a control group")


def test_after_kills_for_memory_fewer_trials_run_at_once_and_none_is_lost(
    tmp_path: Path, memory_limit: Path
) -> None:
    words = ["+mib=200", "+hold_s=1", "+x=1,2,3,4", "hydra.launcher.parallelism=2"]

    done = run(
        launch(*words, task=HUNGRY),
        tmp_path,
        preexec_fn=lambda: memory_limit.write_text(str(os.getpid())),
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert states(tmp_path) == {"COMPLETED": 4}
    attempts = list((tmp_path / "sweep-store/s/packs").glob("*/attempt-2.json"))
    assert attempts, "nothing was killed: the limit did not bite"


def test_a_trial_that_asks_for_too_much_memory_fails_and_the_rest_completes(
    tmp_path: Path,
) -> None:
    import resource

    words = ["+mib=1,60000,2", "+hold_s=0", "+x=1"]
    limit = 8 << 30

    done = run(
        launch(*words, task=HUNGRY),
        tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )

    assert done.returncode == 1
    assert states(tmp_path) == {"COMPLETED": 2, "FAILED": 1}
    assert "MemoryError" in done.stdout


@pytest.mark.slow
def test_10_000_trials_that_do_nothing_leave_memory_flat(tmp_path: Path) -> None:
    client = subprocess.Popen(
        launch("x=range(0,10000)", "epochs=1"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    parent_mib: list[float] = []
    client_mib: list[float] = []
    while client.poll() is None:
        try:
            own = psutil.Process(client.pid)
            for child in own.children():
                if "warm" in child.cmdline():
                    parent_mib.append(child.memory_info().rss / MIB)
                    client_mib.append(own.memory_info().rss / MIB)
        except psutil.Error:
            break
        time.sleep(0.2)

    assert client.wait(200) == 0
    assert states(tmp_path) == {"COMPLETED": 10_000}
    early = len(parent_mib) // 10
    assert max(parent_mib) < parent_mib[early] + 20
    late = len(client_mib) * 7 // 10  # behind it the study is summed up, which takes its own
    assert client_mib[late] < client_mib[early] + 60
