"""Build the parts that come as Go modules, once a machine."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from testbed.errors import BedError

SOURCES = Path(__file__).parents[1] / "go"  # one folder a module
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sweep-tests" / "go"
SOURCE_SUFFIXES = {".go", ".mod", ".sum"}
STAMPS = "ldflags"  # file of a module: version stamps, one a line
LINK_FLAGS = "-s -w"


@cache
def binary(module: str) -> Path:
    """Return the program of one module of ours, built if there is none. Raises BedError."""
    return Builder(sources=SOURCES, cache=CACHE).binary(module)


def modules() -> list[str]:
    """Name the modules there are."""
    return sorted(file.parent.name for file in SOURCES.glob("*/go.mod"))


@dataclass(frozen=True, slots=True)
class Builder:
    """Go modules below `sources`, and the place of their programs."""

    sources: Path
    cache: Path

    def binary(self, module: str) -> Path:
        """Return the program of one module, built if its sources or the toolchain changed.

        A build is made beside its place and renamed, and its digest checked at every use, so that
        a broken one is never taken for whole; two processes that ask at once build once.
        Raises BedError without Go, or with its error.
        """
        folder = self.sources / module
        go = shutil.which("go")
        if go is None:
            raise BedError(f"{module} is built by Go, which is not installed")
        place = self.cache / f"{module}-{_key(folder, go)}" / module
        place.parent.mkdir(parents=True, exist_ok=True)
        with (self.cache / f"{module}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _whole(place):
                _build(go, folder, place)
                self._drop_older(module, kept=place.parent)
        return place

    def _drop_older(self, module: str, *, kept: Path) -> None:
        # The one before may still be used, by another checkout.
        others = [each for each in self.cache.glob(f"{module}-*") if each != kept and each.is_dir()]
        for folder in sorted(others, key=lambda each: each.stat().st_mtime)[:-1]:
            shutil.rmtree(folder, ignore_errors=True)


def _build(go: str, folder: Path, place: Path) -> None:
    beside = place.with_suffix(".new")
    # A module without sources of its own is the tool that its go.mod names.
    what = "." if any(folder.glob("*.go")) else "tool"
    command = [go, "build", "-trimpath", f"-ldflags={_link_flags(folder)}", "-o", str(beside), what]
    env = {**os.environ, "GOFLAGS": "-buildvcs=false -mod=readonly", "CGO_ENABLED": "0"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BedError(f"go build of {folder.name} failed:\n{done.stderr[-3000:]}")
    place.with_suffix(".sha256").write_text(_digest(beside))
    beside.replace(place)


def _whole(place: Path) -> bool:
    digest = place.with_suffix(".sha256")
    return place.is_file() and digest.is_file() and digest.read_text() == _digest(place)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _link_flags(folder: Path) -> str:
    stamps = folder / STAMPS
    return f"{LINK_FLAGS} {' '.join(stamps.read_text().split())}" if stamps.exists() else LINK_FLAGS


def _key(folder: Path, go: str) -> str:
    digest = hashlib.sha256()
    digest.update(subprocess.run([go, "version"], capture_output=True, check=True).stdout)
    for file in sorted(folder.iterdir()):
        if file.suffix in SOURCE_SUFFIXES or file.name == STAMPS:
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]
