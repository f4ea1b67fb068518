"""Search for real what a replay searched on a recording, and read what it would have shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from replay.racing import Clock, start_of
from replay.recording import HELD, Recording

from sweep.plan.facets import Flat
from sweep.plan.trial import Record
from sweep.search.space import Choice, Point
from sweep.store import open_store
from sweep.study.reading import read_rounds, read_study
from sweep.study.studied import studied

STUDY = "live"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Trained:
    """One training of a live search, in the order in which they ended."""

    point: Point
    record: Record


def search(recording: Recording, name: str, number: int, *, rows: int, trials: int) -> Clock:
    """Run `python -m sweep` with one of our strategies on the recording's grid, one worker.

    The trainings are its own; what a configuration is truly worth is the recording's. Seed and
    start are those of the replay of that number.
    """
    clock = Clock(recording, number)
    with tempfile.TemporaryDirectory() as folder:
        _write_grid(Path(folder), recording, number)
        words = [
            "+experiment=forecast", "guide=recorded", "+start=recorded", "train.patience=null",
            f"train.epochs={recording.epochs}", f"train.seed={clock.seed}",
            f"data.split=[{rows},{HELD},{HELD}]", f"hydra.searchpath=[file://{folder}]",
            "hydra/sweeper=guide", f"hydra.sweeper.strategy={name}",
            f"hydra.sweeper.seed={number}", f"hydra.sweeper.max_trials={trials}",
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
        trained = list(_trained(f"{folder}/store", recording))
    # The machine is another than it was at the recording: the same trainings say by how much.
    recorded = sum(sum(clock.curve(each.point).cpu_s) for each in trained)
    pace = recorded / sum(each.record.cpu_seconds for each in trained)
    for each in trained:
        _show(clock, each, pace=pace)
    return clock


def _show(clock: Clock, trained: Trained, *, pace: float) -> None:
    """Let a training pass epoch by epoch, each with an even share of its time."""
    losses = trained.record.history["val_loss"]
    for number, loss in enumerate(losses, start=1):
        share = pace * trained.record.cpu_seconds / len(losses)
        clock.see(trained.point, number, loss=float("inf") if loss is None else loss, cost_s=share)


def _trained(store: str, recording: Recording) -> Iterator[Trained]:
    place = open_store(store).at(STUDY)
    state = studied(place, read_study(place), read_rounds(place))
    flats = state.flats()
    trials = {trial.number: trial for trial in state.trials}
    for record in sorted(state.records.values(), key=lambda record: record.finished):
        trial = trials[record.trial]
        config: Flat = {**flats[trial.base], **trial.values}
        yield Trained({key: config[key] for key in recording.space.axes}, record)


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
    file.write_text(f"# @package {package}\n{yaml.safe_dump(dict(content))}")
