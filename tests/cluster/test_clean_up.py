"""However a test run ends, nothing of its bed is left on the machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from testbed.bed import Bed, open_bed, reap
from testbed.processes import Process
from testbed.waiting import until

TESTBED = Path(__file__).parent
OWNER = """
import sys, time
from pathlib import Path
from testbed.bed import open_bed
from testbed.processes import Process

bed = open_bed()
bed.address
Process("part", ["sh", "-c", "setsid sleep 600 & sleep 600"], bed.folder).start()
print(bed.folder, flush=True)
time.sleep(600)
"""
ALL = 4  # the shell, its two sleeps and the guardian
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and networks take root")


@pytest.fixture
def own_bed() -> Bed:
    """Give a bed that the test takes down itself."""
    return open_bed()


def start_owner() -> tuple[subprocess.Popen[str], Path]:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=TESTBED, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    folder = Path(owner.stdout.readline().strip())
    owner.stdout.close()
    until(lambda: processes_of(folder), holds=lambda found: len(found) == ALL)
    return owner, folder


def kill(owner: subprocess.Popen[str]) -> None:
    owner.kill()
    owner.wait()


def processes_of(folder: Path) -> list[psutil.Process]:
    return [
        each
        for each in psutil.process_iter(["environ", "cmdline"])
        if (each.info["environ"] or {}).get("SWEEP_BED") == str(folder)
        or str(folder) in (each.info["cmdline"] or ())
    ]


def guardian_of(folder: Path) -> psutil.Process:
    (found,) = [each for each in processes_of(folder) if "guard" in each.info["cmdline"]]
    return found


def left_of(folder: Path) -> list[object]:
    """List what is left of a bed: its folder, processes, mounts and links."""
    mounted = Path("/proc/self/mountinfo").read_text().splitlines()
    mounts = [line for line in mounted if str(folder) in line]
    token = folder.name.rpartition("-")[2]
    links = [each.name for each in Path("/sys/class/net").iterdir() if token in each.name]
    folders = [folder] if folder.exists() else []
    return [*folders, *processes_of(folder), *mounts, *links]


def test_a_killed_owners_bed_is_taken_down_by_its_guardian() -> None:
    owner, folder = start_owner()
    kill(owner)

    until(lambda: left_of(folder), holds=lambda left: not left)


def test_where_the_guardian_was_killed_too_the_next_bed_does_it() -> None:
    owner, folder = start_owner()
    guardian_of(folder).kill()
    kill(owner)
    assert left_of(folder)

    reap()

    assert not left_of(folder)


def test_a_living_owners_bed_is_left_alone() -> None:
    owner, folder = start_owner()

    reap()

    assert len(processes_of(folder)) == ALL
    kill(owner)
    until(lambda: left_of(folder), holds=lambda left: not left)


def test_a_process_that_was_not_yet_recorded_is_found(own_bed: Bed) -> None:
    part = Process("part", ["sleep", "600"], own_bed.folder)
    part.start()
    part.pid_file.unlink()

    own_bed.close()

    assert part.child is not None
    assert part.child.wait(5) == -signal.SIGKILL


def test_a_number_that_another_process_has_by_now_is_spared(own_bed: Bed) -> None:
    other = subprocess.Popen(["sleep", "600"], start_new_session=True)
    (own_bed.run / "part.pid").write_text(f"{other.pid} 1")

    own_bed.close()

    assert other.poll() is None
    other.kill()
    other.wait()


@root_only
def test_mounts_networks_and_cgroups_go_with_the_bed(own_bed: Bed) -> None:
    assert own_bed.bridge is not None
    inner = own_bed.folder / "a folder"
    inner.mkdir()
    space = own_bed.name
    (own_bed.run / "netns").write_text(f"{space}\n")
    cgroup = Path("/sys/fs/cgroup/pids") / own_bed.name
    (own_bed.run / "cgroups").write_text(f"{cgroup}\n")
    for command in (
        ["mount", "-t", "tmpfs", "tmpfs", str(inner)],
        ["ip", "netns", "add", space],
        ["mkdir", "-p", str(cgroup / "pod")],
    ):
        subprocess.run(command, check=True)
    stray = subprocess.Popen(["sleep", "600"])
    (cgroup / "pod" / "cgroup.procs").write_text(str(stray.pid))

    own_bed.close()

    assert not left_of(own_bed.folder)
    assert not Path("/run/netns", space).exists()
    assert not cgroup.exists()
    assert stray.wait(5) == -signal.SIGKILL


@root_only
def test_what_is_mounted_read_write_is_not_emptied(own_bed: Bed, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("the machine's own")
    inner = own_bed.folder / "inner"
    inner.mkdir()
    subprocess.run(["mount", "--bind", str(tmp_path), str(inner)], check=True)

    own_bed.close()

    assert (tmp_path / "kept").exists()
