"""Run an application through Hydra's basic launcher and through ours; bring both into one form."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

APPLICATION = Path(__file__).parents[1] / "applications" / "any_app"
OURS = ("hydra/launcher=kubernetes", "hydra.launcher.cluster=local")
TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d,\d+")
STAMP = re.compile(r"\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d")
CLOCK = re.compile(r"\d\d-\d\d-\d\d")


@dataclass(frozen=True)
class Ran:
    """What one multirun left: its exit code, what it said, and its files, without times."""

    code: int
    out: str
    err: str
    files: Mapping[str, Any]
    texts: Mapping[str, str]  # the same files as they are
    names: tuple[str, ...]  # of all files, those of the store too


@dataclass(frozen=True)
class Desk:
    """A copy of the application, and the interpreter that runs it."""

    root: Path
    python: Path

    def run(self, *words: str, **env: str) -> Ran:
        """Run a multirun in a fresh copy that always lies in the same place."""
        place = self.root / "place"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(APPLICATION, place / "any_app", ignore=shutil.ignore_patterns("__pyc*"))
        before = _names(place)
        command = [str(self.python), *words]
        done = subprocess.run(
            command, cwd=place, env=self.environment(**env), capture_output=True, text=True
        )
        names = tuple(name for name in _names(place) if name not in before)
        texts = {n: (place / n).read_text() for n in names if not n.startswith("sweep-store/")}
        files = {STAMP.sub("DATE/TIME", name): _content(name, text) for name, text in texts.items()}
        return Ran(done.returncode, done.stdout, done.stderr, files, texts, names)

    def both(self, *words: str, **env: str) -> tuple[Ran, Ran]:
        """Run the same words through the basic launcher and through ours."""
        return self.run(*words, **env), self.run(*words, *OURS, **env)

    def environment(self, **more: str) -> dict[str, str]:
        """Give the application an environment of which nothing is left over from the tests."""
        own = {k: v for k, v in os.environ.items() if not k.startswith(("SWEEP_", "MLFLOW_"))}
        return {**own, "GREETED": "x", "PYTHONPATH": str(self.root / "place"), **more}


def lines(text: str) -> list[str]:
    """Cut text into lines without times."""
    return [TIME.sub("TIME", line) for line in text.splitlines()]


def _names(place: Path) -> list[str]:
    found = (path.relative_to(place) for path in place.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if "__pycache__" not in path.parts)


def _content(name: str, text: str) -> Any:
    if name.endswith(("hydra.yaml", "multirun.yaml")):
        return _without_launcher(yaml.safe_load(text))
    return [CLOCK.sub("TIME", line) for line in lines(text)]


def _without_launcher(tree: Mapping[str, Any]) -> Any:
    hydra = dict(tree["hydra"])
    del hydra["launcher"]
    hydra["overrides"]["hydra"] = [
        word for word in hydra["overrides"]["hydra"] if "launcher" not in word
    ]
    del hydra["runtime"]["choices"]["hydra/launcher"]
    return yaml.safe_load(STAMP.sub("DATE/TIME", yaml.safe_dump({**tree, "hydra": hydra})))
