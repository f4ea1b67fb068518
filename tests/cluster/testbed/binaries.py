"""Build the parts that come as Go modules, once a machine."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from testbed.errors import BedError

SOURCES = Path(__file__).parents[1] / "go"  # one folder a module
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sweep-tests" / "go"
SOURCE_SUFFIXES = {".go", ".mod", ".sum"}
LINK_FLAGS = "-s -w"


def binary(module: str) -> Path:
    """Return the program of one module, built if its sources or the toolchain changed.

    A build is made beside its place and renamed, so that a broken one is never taken for whole;
    two processes that ask at once build once. Raises BedError without Go or with its error.
    """
    folder = SOURCES / module
    go = shutil.which("go")
    if go is None:
        raise BedError(f"{module} is built by Go, which is not installed")
    place = CACHE / f"{module}-{_key(folder, go)}" / module
    place.parent.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{module}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _whole(place):
            _build(go, folder, place)
            _drop_older(module, place.parent)
    return place


def _build(go: str, folder: Path, place: Path) -> None:
    beside = place.with_suffix(".new")
    command = [go, "build", "-trimpath", f"-ldflags={_link_flags(folder)}", "-o", str(beside), "."]
    env = {**os.environ, "GOFLAGS": "-buildvcs=false -mod=readonly", "CGO_ENABLED": "0"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BedError(f"go build of {folder.name} failed:\n{done.stderr[-3000:]}")
    beside.with_suffix(".size").write_text(str(beside.stat().st_size))
    beside.with_suffix(".size").replace(place.with_suffix(".size"))
    beside.replace(place)


def _whole(place: Path) -> bool:
    size = place.with_suffix(".size")
    return place.is_file() and size.is_file() and size.read_text() == str(place.stat().st_size)


def _link_flags(folder: Path) -> str:
    extra = folder / "ldflags"  # version stamps, one a line
    return f"{LINK_FLAGS} {' '.join(extra.read_text().split())}" if extra.exists() else LINK_FLAGS


def _key(folder: Path, go: str) -> str:
    digest = hashlib.sha256()
    version = subprocess.run([go, "version"], capture_output=True, check=True).stdout
    digest.update(version)
    for file in sorted(folder.iterdir()):
        if file.suffix in SOURCE_SUFFIXES or file.name == "ldflags":
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _drop_older(module: str, kept: Path) -> None:
    for folder in CACHE.glob(f"{module}-*"):
        if folder != kept and folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)
