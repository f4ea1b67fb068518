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
from testbed.image import Image

FORMAT = "1"  # of the folder; another one makes every seed anew
STORE = """\
version = 2
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "{state}/socket"
"""
# Namespaces of its own, so that nothing stays mounted or running where this is killed.
ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
IMPORT = """\
set -eu
containerd --config "$1/config.toml" &
until ctr --address "$1/socket" version >/dev/null 2>&1; do kill -0 $!; sleep 0.05; done
state=$1
shift
for archive; do ctr --address "$state/socket" --namespace k8s.io images import "$archive"; done
kill $!
wait
"""


def seed(images: Sequence[Image], cache: Path) -> Path:
    """Return a containerd root that holds the images, unpacked, made where it is missing.

    Raises BedError with containerd's words.
    """
    words = FORMAT + "".join(f"{image.name}@{image.digest}\n" for image in images)
    place = cache / f"seed-{hashlib.sha256(words.encode()).hexdigest()[:16]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "seed.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _make(place, images)
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


def _make(place: Path, images: Sequence[Image]) -> None:
    beside = place.with_suffix(".new")
    shutil.rmtree(beside, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="sweep-seed-") as state:
        (Path(state) / "config.toml").write_text(STORE.format(root=beside, state=state))
        done = subprocess.run(
            [*ALONE, "sh", "-c", IMPORT, "import", state, *(each.archive for each in images)],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise BedError(f"containerd could not import an image:\n{done.stderr[-3000:]}")
    beside.rename(place)
