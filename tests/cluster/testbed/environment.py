"""Run this machine's own Python in pods, instead of an image with torch."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.base_image import NAME
from testbed.pods import container
from testbed.volumes import Shown

REPOSITORY = Path(__file__).parents[3]
OF_THE_IMAGE = Path("/usr")  # a system's Python is the image's own, at the same place
ENV = {"HOME": "/tmp", "USER": "sweep", "PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True, slots=True)
class Environment:
    """The interpreter, its packages and the working tree, read-only in a namespace."""

    shown: Shown

    @property
    def volumes(self) -> list[dict[str, Any]]:
        """Give the volumes that the pod needs."""
        return self.shown.volumes

    def container(self, *words: str, **changes: Any) -> dict[str, Any]:
        """Write a container that runs `python WORDS`; `changes` are those of `pods.container`."""
        env = {**ENV, **changes.pop("env", {})}
        mounts = [*self.shown.mounts, *changes.pop("mounts", [])]
        python = str(Path(sys.prefix) / "bin" / "python")
        changes = {"memory": "1Gi", **changes}
        return container([python, *words], image=NAME, env=env, mounts=mounts, **changes)


def environment_folders() -> list[Path]:
    """Name the folders that the environment lies in."""
    packages = {
        Path(each) for each in sys.path if each and Path(each).is_dir()
    }  # also those of a .pth file
    wanted = {Path(sys.prefix), Path(sys.base_prefix), REPOSITORY, *packages} - {OF_THE_IMAGE}
    return sorted(each for each in wanted if not wanted & set(each.parents))
