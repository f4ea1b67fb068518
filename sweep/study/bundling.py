"""Gather the code of a task as it lies on this machine: what git tracks, edits included."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sweep.errors import BadInput
from sweep.plan.bundle import Bundle, File, make_bundle, refuse_large

KEY = "hydra.launcher.code=bundle"
GIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Code:
    """A task's code in one object, and what a person should know of it."""

    bundle: Bundle
    task: str  # its name, seen from what stands in front of sys.path
    files: int
    untracked: tuple[str, ...]  # modules that stay behind


@dataclass(frozen=True, slots=True)
class _Source:
    root: Path  # stands in front of sys.path in a worker
    folders: tuple[Path, ...]  # below it
    task: str


def gather(task: str, *, root: Path) -> Code:
    """Bundle the package of a task, or the folder of a script or single module.

    Raises BadInput where the task has no folder, git does not track it, or it is too large.
    """
    source = _source(task, root=root)
    paths = {
        path.relative_to(source.root).as_posix(): path
        for folder in source.folders
        for path in _tracked(folder)
    }
    if not paths:
        raise BadInput(
            f"{KEY}: git tracks no file in {source.folders[0]}; run from a checkout of the code "
            "(and `git add` what is new), or build it into the image"
        )
    refuse_large({name: path.stat().st_size for name, path in paths.items()})
    files = [
        File(name, path.read_bytes(), executable=os.access(path, os.X_OK))
        for name, path in paths.items()
    ]
    untracked = sorted(
        path.relative_to(source.root).as_posix()
        for folder in source.folders
        for path in _list(folder, "--others", "--exclude-standard")
        if path.suffix == ".py"
    )
    return Code(make_bundle(files), source.task, len(files), tuple(untracked))


def _source(task: str, *, root: Path) -> _Source:
    place, _, qualified = task.rpartition(":")
    if place.endswith(".py"):
        script = (root / place).absolute()
        return _Source(script.parent, (script.parent,), f"{script.name}:{qualified}")
    top = place.partition(".")[0]
    found = importlib.util.find_spec(top)
    if found is not None and found.submodule_search_locations:
        folders = tuple(Path(each).absolute() for each in found.submodule_search_locations)
        if len({folder.parent for folder in folders}) == 1:
            return _Source(folders[0].parent, folders, task)
        raise BadInput(
            f"{KEY}: package {top} lies in several folders ({', '.join(map(str, folders))}); "
            "build it into the image, or give it one folder with an __init__.py"
        )
    if found is not None and found.origin and found.origin.endswith(".py"):
        folder = Path(found.origin).absolute().parent
        return _Source(folder, (folder,), task)
    raise BadInput(f"{KEY}: {top} of task {task} is no Python source; build it into the image")


def _tracked(folder: Path) -> list[Path]:
    top = Path(_git(folder, "rev-parse", "--show-toplevel").decode().rstrip("\n")).resolve()
    found = []
    for path in _list(folder, "--cached", "--recurse-submodules"):
        if not path.is_file():
            continue  # deleted, or a link to a folder
        if not path.resolve().is_relative_to(top):
            raise BadInput(
                f"{KEY}: {path} is a link to a file outside of the repository; copy that file in, "
                "or remove the link from git"
            )
        found.append(path)
    return found


def _list(folder: Path, *kinds: str) -> list[Path]:
    listed = _git(folder, "ls-files", "-z", *kinds)
    return [folder / os.fsdecode(name) for name in sorted({*listed.split(b"\0")} - {b""})]


def _git(folder: Path, *words: str) -> bytes:
    command: Sequence[str] = ["git", "-C", str(folder), *words]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=GIT_S)  # noqa: S603
    except FileNotFoundError:
        raise BadInput(f"{KEY} ships what git tracks, and git is not installed") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise BadInput(
            f"{KEY} ships what git tracks in {folder}: {said[0] if said else 'git failed'}; "
            "run from a checkout of the code, or build it into the image"
        ) from None
    except subprocess.TimeoutExpired:
        raise BadInput(f"{KEY}: git did not answer within {GIT_S:g} s in {folder}") from None
    return done.stdout
