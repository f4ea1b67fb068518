"""Take a bed down from what its folder says, whoever made it and however they ended."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGKILL

from testbed.errors import BedError
from testbed.processes import end_marked, end_recorded

WAIT_S = 10.0
POLL_S = 0.02


def take_down(folder: Path) -> None:
    """End every process of a bed, remove what it made outside its folder, then the folder.

    Safe to repeat, and to call from two processes at once. Raises BedError where a mount below the
    folder cannot be removed, since emptying the folder would empty what is mounted there.
    """
    with _alone(folder) as there:
        if not there:
            return
        run = folder / "run"
        _kill_in_cgroups(_listed(run / "cgroups"))
        end_recorded(folder)
        end_marked(folder)
        _unmount_below(folder)
        for name in _listed(run / "netns"):
            _quietly("ip", "netns", "del", name)
        for name in _listed(run / "links"):
            _quietly("ip", "link", "del", name)
        for cgroup in _listed(run / "cgroups"):
            _remove_cgroup(Path(cgroup))
        shutil.rmtree(folder)


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder.exists()
    finally:
        os.close(descriptor)


def _listed(file: Path) -> list[str]:
    return list(dict.fromkeys(file.read_text().split())) if file.exists() else []


def _kill_in_cgroups(cgroups: list[str]) -> None:
    # Also those of containers, which know nothing of the bed.
    for root in cgroups:
        for folder, _, _ in os.walk(root):
            with suppress(OSError):
                for pid in (Path(folder) / "cgroup.procs").read_text().split():
                    with suppress(ProcessLookupError):
                        os.kill(int(pid), SIGKILL)


def _unmount_below(folder: Path) -> None:
    for place in reversed(_mounts_below(folder)):
        if not _quietly("umount", place):
            _quietly("umount", "--lazy", place)
    left = _mounts_below(folder)
    if left:
        raise BedError(f"{left[0]} is still mounted: unmount it, then remove {folder}")


def _mounts_below(folder: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    places = [_unescaped(line.split()[4]) for line in lines]
    return [place for place in places if Path(place).is_relative_to(folder.resolve())]


def _unescaped(place: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), place)


def _remove_cgroup(root: Path) -> None:
    until = time.monotonic() + WAIT_S  # killed processes leave a moment later
    while root.exists():
        for folder, _, _ in os.walk(root, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
        if time.monotonic() > until:
            raise BedError(f"the cgroup {root} still holds processes")
        time.sleep(POLL_S)


def _quietly(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
