"""Count the processors that this process may really use."""

from __future__ import annotations

import math
import os
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def usable_cpus(*, root: Path = ROOT, own: Path = Path("/proc/self/cgroup")) -> int:
    """Return the number of CPUs by affinity and cgroup quota, at least 1.

    os.cpu_count() sees the machine, not the container's limit. A part of a CPU counts as one.
    """
    return math.ceil(_cpus(root, own))


def whole_cpus(*, root: Path = ROOT, own: Path = Path("/proc/self/cgroup")) -> int:
    """Return the number of whole CPUs by affinity and cgroup quota, at least 1."""
    return max(1, math.floor(_cpus(root, own)))


def _cpus(root: Path, own: Path) -> float:
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    quotas = [q for folder in _folders(root, own) if (q := _quota(folder)) is not None]
    return min([allowed, *quotas])


def _folders(root: Path, own: Path) -> list[Path]:
    # A limit may stand at any level above us; inside a container our level is the root.
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return [root]
    folders = [root, root / "cpu"]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / "cpu" if controllers else root
        place = base / path.lstrip("/")
        while place != base:
            folders.append(place)
            place = place.parent
    return folders


def _quota(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    try:
        quota_us = int((folder / "cpu.cfs_quota_us").read_text())
        period_us = int((folder / "cpu.cfs_period_us").read_text())
        return None if quota_us <= 0 else quota_us / period_us
    except (OSError, ValueError):
        return None
