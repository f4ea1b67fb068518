"""Write a study and its rounds into the store."""

from __future__ import annotations

import getpass
import platform
import socket
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from sweep import __version__
from sweep.errors import BadInput, StoreLost
from sweep.plan import layout
from sweep.plan.round import Round, Study, round_to_bytes, study_to_bytes
from sweep.plan.trial import Value
from sweep.store import Store


def open_study(store: Store, study: Study) -> Store:
    """Write study.json and return the study's part of the store.

    Raises BadInput where a study of that name exists, or nothing can be written there.
    """
    place = store.at(study.name)
    try:
        created = store.create(f"{study.name}/{layout.STUDY}", study_to_bytes(study))
    except StoreLost as error:
        raise BadInput(f"{error}; or name another place by hydra.launcher.store") from None
    if not created:
        raise BadInput(
            f"study {study.name} exists in {store.url}; go on with it by "
            f"`python -m sweep resume {study.name}`, or choose another hydra.launcher.study"
        )
    return place


def add_round(place: Store, round_: Round) -> None:
    """Write a round.

    Raises BadInput where another conductor has written one of that number.
    """
    if not place.create(layout.round_key(round_.number), round_to_bytes(round_)):
        raise BadInput(f"{place.url}: round {round_.number} was written by somebody else just now")


VERSIONED = {
    "torch": ("torch",),
    "numpy": ("numpy",),
    "hydra-core": ("hydra-core",),
    "mlflow": ("mlflow", "mlflow-skinny"),
}


def versions() -> dict[str, str]:
    """Name the versions that decide about a trial's numbers."""
    found = {"sweep": __version__, "python": platform.python_version()}
    for name, distributions in VERSIONED.items():
        for distribution in distributions:
            try:
                found[name] = metadata.version(distribution)
            except metadata.PackageNotFoundError:
                continue
            break
    return found


def surroundings(directory: Path) -> Mapping[str, Value]:
    """Note who starts a study, where, with which versions and from which commit."""
    return {
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "machine": platform.machine(),
        "versions": versions(),
        "git": git_commit(directory),
    }


def git_commit(directory: Path) -> str:
    """Name the commit that a folder is at, with '+' where files differ; '' outside of git."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"],  # noqa: S607
            cwd=directory,
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()
