"""Give a node cgroups of its own, as its kubelet takes every pod in its root for its own."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from testbed.errors import BedError
from testbed.network import note

MOUNTED = Path("/sys/fs/cgroup")
INHERITED = ("cpuset.cpus", "cpuset.mems")  # empty in a new folder of version 1, which takes nobody
EMPTY_S = 10.0
POLL_S = 0.02


def make_cgroups(name: str, *, run: Path) -> None:
    """Make a folder of that name in every hierarchy."""
    _hand_down(MOUNTED)
    for folder in (hierarchy / name for hierarchy in _hierarchies()):
        note(run, "cgroups", str(folder))
        folder.mkdir(exist_ok=True)
        for setting in INHERITED:
            if (folder / setting).exists():
                (folder / setting).write_text((folder.parent / setting).read_text())


def wait_empty(name: str) -> None:
    """Wait until no process is left in a killed node's cgroups."""
    until = time.monotonic() + EMPTY_S
    while any(_processes(hierarchy / name) for hierarchy in _hierarchies()):
        if time.monotonic() > until:
            raise BedError(f"processes of node {name} live {EMPTY_S:.0f} s after it was killed")
        time.sleep(POLL_S)


def remove_cgroups(name: str) -> None:
    """Remove the folders of a node that is down."""
    for hierarchy in _hierarchies():
        for folder, _, _ in os.walk(hierarchy / name, topdown=False):
            with suppress(OSError):  # in use or gone: the bed's end tries again
                Path(folder).rmdir()


def _hierarchies() -> list[Path]:
    if (MOUNTED / "cgroup.controllers").exists():  # version 2
        return [MOUNTED]
    return [folder for folder in MOUNTED.iterdir() if folder.is_dir() and not folder.is_symlink()]


def _hand_down(root: Path) -> None:
    controllers = root / "cgroup.controllers"
    if controllers.exists():
        wanted = " ".join(f"+{each}" for each in controllers.read_text().split())
        with suppress(OSError):  # not ours to change: they are on where a kubelet may run at all
            (root / "cgroup.subtree_control").write_text(wanted)


def _processes(folder: Path) -> bool:
    return any((Path(each) / "cgroup.procs").read_text() for each, _, _ in os.walk(folder))
