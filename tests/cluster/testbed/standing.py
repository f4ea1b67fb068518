"""Keep a bed standing for a shell, in a process that is its owner."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from testbed.bed import OWNER, PACKAGES, beds, open_bed
from testbed.control import ControlPlane
from testbed.errors import BedError
from testbed.fake import FakeNodes

STANDING = "standing"  # file of a bed that stands for a shell: its kubeconfig's path
READY = "ready "
DOWN_S = 20.0
POLL_S = 0.05


def up() -> Path:
    """Start a bed that outlives this process, or find the one that stands; give its kubeconfig."""
    standing = find()
    if standing is not None:
        return Path((standing / STANDING).read_text())
    keeper = subprocess.Popen(
        [sys.executable, "-m", "testbed", "keep"],
        cwd=PACKAGES,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # not ended with the shell
        text=True,
    )
    assert keeper.stdout is not None
    said = []
    for line in keeper.stdout:
        if line.startswith(READY):
            keeper.stdout.close()
            return Path(line.removeprefix(READY).strip())
        said.append(line)
    raise BedError("the bed did not come up:\n" + "".join(said))


def down() -> bool:
    """Take the standing bed down; tell whether there was one."""
    standing = find()
    if standing is None:
        return False
    os.kill(json.loads((standing / OWNER).read_text())["pid"], signal.SIGTERM)
    until = time.monotonic() + DOWN_S
    while standing.exists():
        if time.monotonic() > until:
            raise BedError(f"{standing} still stands after {DOWN_S:.0f} s")
        time.sleep(POLL_S)
    return True


def find() -> Path | None:
    """Find the folder of the bed that stands."""
    return next((folder for folder in beds() if (folder / STANDING).exists()), None)


def keep() -> None:
    """Own a bed with a control plane and a few fake nodes until told to end."""
    told = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, lambda *_: told.set())
    bed = open_bed()
    try:
        control = ControlPlane(bed).start()
        nodes = FakeNodes(control).start()
        nodes.add(4)
        nodes.add(2, gpus=8)
        (bed.folder / STANDING).write_text(str(control.kubeconfig))
        print(f"{READY}{control.kubeconfig}", flush=True)
        told.wait()
    finally:
        bed.close()
