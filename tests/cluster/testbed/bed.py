"""Keep what one bed starts in one folder, and take all of it down however its owner ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import cached_property
from io import FileIO
from pathlib import Path

from testbed.bridge import Bridge, machine_address, make_bridge
from testbed.ending import take_down
from testbed.errors import BedError
from testbed.processes import started_at

PREFIX = "sweep-bed-"
OWNER = "owner.json"
PACKAGES = Path(__file__).parents[1]  # where `testbed` is found
OWNERLESS_S = 60.0  # a folder whose maker died before it could write its name


class Bed:
    """The folder of one bed, and the guardian that outlives its owner.

    run/*.pid, run/netns, run/links and run/cgroups say what has to go at the end.
    """

    def __init__(
        self, folder: Path, *, lifeline: FileIO, guardian: subprocess.Popen[bytes]
    ) -> None:
        self.folder = folder
        self._lifeline = lifeline  # no other process holds it open: it closes when we end
        self._guardian = guardian

    @property
    def name(self) -> str:
        """Give a name that no other bed of this machine has."""
        return self.folder.name

    @property
    def run(self) -> Path:
        """Give the folder of what has to be removed: write a name there before you make a thing."""
        return self.folder / "run"

    @cached_property
    def bridge(self) -> Bridge | None:
        """Make a bridge, if this process may."""
        try:
            return make_bridge("sweep" + self.name.removeprefix(PREFIX), run=self.run)
        except BedError:
            return None

    @property
    def address(self) -> str:
        """Give the address at which the bed's parts reach each other."""
        return self.bridge.address if self.bridge else machine_address()

    def close(self) -> None:
        """Take everything down; the guardian then finds nothing to do."""
        take_down(self.folder)
        self._lifeline.close()
        self._guardian.wait()


def open_bed() -> Bed:
    """Make a bed of this process, once those are taken down whose owner has died."""
    reap()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    (folder / "run").mkdir()
    owner = {"pid": os.getpid(), "started": started_at(os.getpid())}
    (folder / OWNER).write_text(json.dumps(owner))
    read_end, write_end = os.pipe()
    lifeline = FileIO(write_end, "w")
    os.register_at_fork(after_in_child=lifeline.close)
    with (folder / "guardian.log").open("wb") as log:
        guardian = subprocess.Popen(
            [sys.executable, "-m", "testbed", "guard", str(folder), str(read_end)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[read_end],
            cwd=PACKAGES,
            start_new_session=True,
        )
    os.close(read_end)
    return Bed(folder, lifeline=lifeline, guardian=guardian)


def guard(folder: Path, *, lifeline: int) -> None:
    """Wait for the owner's end, then take its bed down."""
    os.read(lifeline, 1)
    take_down(folder)


def reap() -> None:
    """Take down this user's beds whose owner has died, and whose guardian has too."""
    for folder in beds():
        with suppress(FileNotFoundError):  # its guardian was quicker
            if not _owned(folder):
                take_down(folder)


def beds() -> list[Path]:
    """List the folders of this user's beds: another's might name any process to be killed."""
    found = Path(tempfile.gettempdir()).glob(f"{PREFIX}*")
    return [folder for folder in found if _owner_of(folder) == os.geteuid()]


def _owner_of(folder: Path) -> int:
    try:
        return folder.stat().st_uid
    except FileNotFoundError:
        return -1


def _owned(folder: Path) -> bool:
    try:
        owner = json.loads((folder / OWNER).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return time.time() - folder.stat().st_mtime < OWNERLESS_S
    return started_at(owner["pid"]) == owner["started"]
