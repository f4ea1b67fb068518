"""The number of workers comes from the container's limit, whichever way it is written."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sweep.cluster.cpus import usable_cpus, whole_cpus

Write = Callable[[str, str], None]
AVAILABLE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")

    return write


def found(folder: Path) -> int:
    return usable_cpus(root=folder / "cgroup", own=folder / "own")


def test_without_a_limit_all_processors_that_the_process_may_use_count(tmp_path: Path) -> None:
    assert found(tmp_path) == AVAILABLE


@pytest.mark.parametrize("limit", ["max 100000", "6400000 100000", "no number", ""])
def test_a_limit_that_does_not_bind_changes_nothing(
    tmp_path: Path, write: Write, limit: str
) -> None:
    write("own", "0::/")
    write("cgroup/cpu.max", limit)

    assert found(tmp_path) == AVAILABLE


@pytest.mark.parametrize("limit", ["100000 100000", "50000 100000", "1000 100000"])
def test_a_limit_of_version_two_binds_and_leaves_one_at_least(
    tmp_path: Path, write: Write, limit: str
) -> None:
    write("own", "0::/")
    write("cgroup/cpu.max", limit)

    assert found(tmp_path) == 1


@pytest.mark.skipif((AVAILABLE or 1) < 2, reason="needs two processors")
def test_a_part_of_a_processor_counts_as_a_whole_one(tmp_path: Path, write: Write) -> None:
    write("own", "0::/")
    write("cgroup/cpu.max", "150000 100000")

    assert found(tmp_path) == 2
    assert whole_cpus(root=tmp_path / "cgroup", own=tmp_path / "own") == 1


def test_of_less_than_one_processor_a_pod_still_uses_one(tmp_path: Path, write: Write) -> None:
    write("own", "0::/")
    write("cgroup/cpu.max", "50000 100000")

    assert whole_cpus(root=tmp_path / "cgroup", own=tmp_path / "own") == 1


@pytest.mark.parametrize("level", ["cgroup", "cgroup/kubepods", "cgroup/kubepods/pod1"])
def test_a_limit_at_any_level_above_binds(tmp_path: Path, write: Write, level: str) -> None:
    write("own", "0::/kubepods/pod1")
    for folder in ("cgroup", "cgroup/kubepods", "cgroup/kubepods/pod1"):
        write(f"{folder}/cpu.max", "100000 100000" if folder == level else "max 100000")

    assert found(tmp_path) == 1


def test_the_limit_of_another_group_does_not_bind(tmp_path: Path, write: Write) -> None:
    write("own", "0::/kubepods/pod1")
    write("cgroup/kubepods/pod2/cpu.max", "100000 100000")

    assert found(tmp_path) == AVAILABLE


@pytest.mark.parametrize("folder", ["cgroup/cpu", "cgroup/cpu/docker/abc"])
def test_a_limit_of_version_one_binds(tmp_path: Path, write: Write, folder: str) -> None:
    write("own", "12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/x")
    write(f"{folder}/cpu.cfs_quota_us", "100000")
    write(f"{folder}/cpu.cfs_period_us", "100000")

    assert found(tmp_path) == 1


def test_no_quota_of_version_one_is_no_limit(tmp_path: Path, write: Write) -> None:
    write("own", "4:cpu,cpuacct:/")
    write("cgroup/cpu/cpu.cfs_quota_us", "-1")
    write("cgroup/cpu/cpu.cfs_period_us", "100000")

    assert found(tmp_path) == AVAILABLE
