"""Make environments in which a stranger's application runs: ours, and what it requires, alone."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

OURS = "hydra-kubernetes-sweep"


class NotInstallable(Exception):
    """Tells what pip said."""


def bare(folder: Path, *, without: Sequence[str] = ()) -> Path:
    """Make an environment of our distribution and what it requires, and return its python.

    Fails where something of `without` can be imported in it.
    """
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    place = Path(_say(python, "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    # Copies: what is installed here later must not reach the environment that the tests run in.
    for name in _closure(OURS):
        for file in metadata.distribution(name).files or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                (place / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(Path(str(file.locate())), place / file)
    for module in without:
        assert f"No module named '{module}'" in _say(python, f"import {module}"), module
    return python


def extended(requirements: Sequence[str]) -> Path:
    """Return the python of a bare environment with more in it, made once and kept.

    Raises NotInstallable.
    """
    versions = [f"{name}=={metadata.version(name)}" for name in _closure(OURS)]
    key = hashlib.sha256(repr([sys.prefix, sys.version, versions, requirements]).encode())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "sweep-tests" / key.hexdigest()[:16]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _install(bare(folder), requirements)
            (folder / "ready").touch()
    return folder / "bin" / "python"


def _install(python: Path, requirements: Sequence[str]) -> None:
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    done = subprocess.run([*pip, *requirements], capture_output=True, text=True)
    if done.returncode:
        raise NotInstallable(done.stderr.strip().splitlines()[-1])


def _say(python: Path, code: str) -> str:
    done = subprocess.run([python, "-c", code], capture_output=True, text=True)
    return done.stdout + done.stderr


def _closure(name: str) -> list[str]:
    found: list[str] = []
    waiting = [name]
    while waiting:
        now = waiting.pop()
        if now in found:
            continue
        found.append(now)
        for text in metadata.requires(now) or ():
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                waiting.append(wanted.name)
    return found
