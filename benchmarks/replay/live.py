"""Search for real what a replay searched on a recording, and score what the product recommends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from replay.racing import start_of
from replay.recording import HELD, Recording

from sweep.plan.facets import Flat
from sweep.plan.selection import fresh_seeds
from sweep.plan.trial import Trial
from sweep.search.space import Choice, Point, identity
from sweep.store import open_store
from sweep.study.reading import read_rounds, read_study
from sweep.study.studied import Studied, studied

STUDY = "live"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Wanted:
    """A search that is run for real."""

    strategy: str
    trials: int  # hydra.sweeper.max_trials
    confirm: str | None = None  # hydra.sweeper.confirm

    def __str__(self) -> str:
        return ":".join(filter(None, (self.strategy, str(self.trials), self.confirm)))

    @classmethod
    def read(cls, words: str) -> Wanted:
        """Read STRATEGY:TRIALS or STRATEGY:TRIALS:KxN; raises ValueError."""
        strategy, trials, *confirm = words.split(":")
        return cls(strategy, int(trials), *confirm)


@dataclass(frozen=True)
class Ended:
    """What came of it."""

    score: float  # of what it recommends, with the seeds that it never trained
    cpu_s: float  # that the recording spent on the same trainings


def search(recording: Recording, wanted: Wanted, number: int, *, rows: int) -> Ended:
    """Run `python -m sweep` on the recording's grid, one worker, and score the leaderboard's best.

    The trainings are its own; what a configuration is worth is the recording's. The number gives
    the search's seed, its start and the seed of its trainings.
    """
    seed = recording.seeds[number % len(recording.seeds)]
    with tempfile.TemporaryDirectory() as folder:
        _write_grid(Path(folder), recording, number)
        words = [
            "+experiment=forecast", "guide=recorded", "+start=recorded", "train.patience=null",
            f"train.epochs={recording.epochs}", f"train.seed={seed}",
            f"data.split=[{rows},{HELD},{HELD}]", f"hydra.searchpath=[file://{folder}]",
            "hydra/sweeper=guide", f"hydra.sweeper.strategy={wanted.strategy}",
            f"hydra.sweeper.seed={number}", f"hydra.sweeper.max_trials={wanted.trials}",
            f"hydra.sweeper.confirm={wanted.confirm or 'null'}",
            "hydra.launcher.cluster=local", "hydra.launcher.parallelism=1",
            f"hydra.launcher.store={folder}/store", f"hydra.launcher.study={STUDY}",
            "tracking.uri=null", "-m",
        ]  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "sweep", *words],
            cwd=folder, env={**os.environ, **ONE_THREAD}, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
        return _ended(f"{folder}/store", recording, seed)


def _ended(store: str, recording: Recording, seed: int) -> Ended:
    place = open_store(store).at(STUDY)
    state = studied(place, read_study(place), read_rounds(place))
    best = state.board().best
    if best is None:
        raise SystemExit(f"{store}: the search ended without a result")
    trials = {trial.number: trial for trial in state.trials}
    # The seed that a confirmation takes is left out for all, so that all are scored alike.
    unseen = [s for s in recording.seeds if s not in (seed, *fresh_seeds([seed], 1))]
    winner, _ = _point(state, trials[best.trials[0]], recording)
    spent = 0.0
    for record in state.records.values():
        point, own = _point(state, trials[record.trial], recording)
        epochs = len(record.history["val_loss"])
        spent += sum(recording.curves[identity(point)][own].cpu_s[:epochs])
    return Ended(recording.worth(winner, epochs=recording.epochs, seeds=unseen), spent)


def _point(state: Studied, trial: Trial, recording: Recording) -> tuple[Point, int]:
    """Give a trial's configuration as the recording has it, and its seed."""
    config: Flat = {**state.flats()[trial.base], **trial.values}
    return {key: config[key] for key in recording.space.axes}, config[state.study.seed]


def _write_grid(folder: Path, recording: Recording, number: int) -> None:
    axes = {
        key: ",".join(json.dumps(value) for value in axis.values)
        for key, axis in recording.space.axes.items()
        if isinstance(axis, Choice)
    }
    _write(folder / "guide/recorded.yaml", "hydra.sweeper.params", axes)
    start: dict[str, dict[str, object]] = {}
    for key, value in start_of(recording, number).items():
        group, _, name = key.partition(".")
        start.setdefault(group, {})[name] = value
    _write(folder / "start/recorded.yaml", "_global_", start)


def _write(file: Path, package: str, content: Mapping[str, object]) -> None:
    file.parent.mkdir()
    # In the space's order: draws depend on it.
    file.write_text(f"# @package {package}\n{yaml.safe_dump(dict(content), sort_keys=False)}")
