"""Make small git repositories with a task in them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

OURS = ("MLFLOW_", "SWEEP_", "GIT_")


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def make_repository(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files, all tracked by git."""
    write(folder, files)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    return folder


def git(folder: Path, *words: str) -> None:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, env=kept)
