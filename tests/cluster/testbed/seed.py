"""Unpack images once a machine into the folder that a node's containerd starts from."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from testbed.errors import BedError
from testbed.image import CACHE, Image
from testbed.snapshots import BuiltImage, layer_lines, write_outline

FORMAT = "1"  # of the folder; another one makes every seed anew
SCRIPT = Path(__file__).with_name("seed.sh")
CONFIG = """\
version = 2
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "{state}/socket"
"""
# Namespaces of its own, so that nothing stays mounted or running where this is killed.
ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


def seed(images: Sequence[Image], *, built: BuiltImage | None = None, kind: str = "") -> Path:
    """Return a containerd root that holds the images, unpacked, made where it is missing.

    Of each `kind` the newest is kept. Raises BedError with containerd's words.
    """
    names = [f"{image.name}@{image.digest}" for image in (*images, *([built] if built else []))]
    kind = kind or ("built" if built else "plain")
    key = hashlib.sha256("\n".join([FORMAT, *names]).encode()).hexdigest()[:16]
    place = CACHE / f"seed-{kind}-{key}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "seed.lock").open("w") as lock, (CACHE / "trainer.lock").open("w") as building:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fcntl.flock(building, fcntl.LOCK_EX)  # it mounts what is linked here
        if not place.exists():
            for older in CACHE.glob(f"seed-{kind}-*"):
                shutil.rmtree(older)
            _make(place, images, built)
    return place


def plant(source: Path, target: Path) -> None:
    """Copy a seed for one node: files by hard link, as layers are never written to.

    Only containerd's own databases change in place, and those are copied. Where the node's folder
    lies on another file system everything is.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    linked = subprocess.run(
        ["cp", "--archive", "--link", source, target], capture_output=True, check=False
    )
    if linked.returncode:
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(["cp", "--archive", source, target], check=True)
        return
    for database in source.glob("*/*.db"):
        copy = target / database.relative_to(source)
        copy.unlink()
        shutil.copy2(database, copy)


def _make(place: Path, images: Sequence[Image], built: BuiltImage | None) -> None:
    beside = place.with_suffix(".new")
    with tempfile.TemporaryDirectory(prefix="sweep-seed-") as name:
        folder = Path(name)
        (folder / "config.toml").write_text(CONFIG.format(root=beside, state=folder))
        (folder / "layers").write_text(layer_lines(built) if built else "")
        done = subprocess.run(
            [*ALONE, SCRIPT, folder, *(each.archive for each in images)],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise BedError(f"containerd could not take an image:\n{done.stderr[-3000:]}")
    if built:
        write_outline(built, beside / "outline.tar")  # each node imports it when it starts
    beside.rename(place)
