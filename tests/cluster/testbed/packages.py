"""Install the Debian packages that the bed's parts need."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from testbed.errors import BedError

LIST = Path(__file__).parents[1] / "apt.txt"  # one a line, # begins a comment


def wanted() -> list[str]:
    """Name the packages of the list."""
    lines = [line.partition("#")[0].strip() for line in LIST.read_text().splitlines()]
    return [line for line in lines if line]


def missing() -> list[str]:
    """Name those that are not installed."""
    return [each for each in wanted() if not _installed(each)]


def install() -> list[str]:
    """Install what is missing; return what is still missing, as it takes root and apt-get."""
    names = missing()
    if not names or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return names
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *names]):
        done = subprocess.run(
            ["apt-get", "--quiet", *words], env=env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BedError(f"apt-get {' '.join(words)} failed:\n{done.stderr[-2000:]}")
    return missing()


def _installed(package: str) -> bool:
    command = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package]
    if shutil.which(command[0]) is None:
        return False
    return (
        subprocess.run(command, capture_output=True, text=True, check=False).stdout == "installed"
    )
