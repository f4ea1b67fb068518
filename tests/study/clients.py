"""Run the real command line in a folder of its own, and look at what it leaves there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from sweep.plan import layout
from sweep.plan.records import lines_of
from sweep.plan.trial import Record, State
from sweep.store import Store, open_store
from sweep.study.reading import read_rounds, read_study
from sweep.study.studied import Studied, studied

APPLICATIONS = Path(__file__).parents[1] / "applications"
FRAIL = APPLICATIONS / "frail.py"
UNTRACKED = APPLICATIONS / "untracked.py"
SOON_S = 60.0
OURS = ("MLFLOW_", "SWEEP_", "HYDRA_", "OMP_")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass
class Place:
    """A folder, and the studies that clients keep in it."""

    folder: Path
    extra: Mapping[str, str] = field(default_factory=dict)  # environment
    address: str = ""  # of the store; empty: the folder that is taken where nobody names one

    @property
    def store(self) -> Store:
        return open_store(self.address or str(self.folder / "sweep-store"))

    def multirun(self, *words: str, task: Path = FRAIL, study: str = "s") -> Ended:
        return finish(self.start(*words, task=task, study=study))

    def start(
        self, *words: str, task: Path = FRAIL, study: str = "s", python: Path | None = None
    ) -> subprocess.Popen[str]:
        return self._start([str(task), *words, f"hydra.launcher.study={study}", "-m"], python)

    def resume(self, *words: str, study: str = "s") -> subprocess.Popen[str]:
        return self._start(["-m", "sweep", "resume", study, *words])

    def verb(self, *words: str) -> Ended:
        return self.python("-m", "sweep", *words)

    def python(self, *words: str) -> Ended:
        return finish(self._start(words))

    def _start(self, words: Sequence[str], python: Path | None = None) -> subprocess.Popen[str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
        return subprocess.Popen(
            [str(python or sys.executable), *words],
            cwd=self.folder,
            env={**kept, **self.extra, "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that a signal to its group is what a terminal sends
        )

    def read(self, study: str = "s") -> Studied:
        part = self.store.at(study)
        return studied(part, read_study(part), read_rounds(part))

    def records(self, study: str = "s") -> Mapping[int, Record]:
        return self.read(study).records

    def lines(self, study: str = "s") -> list[Record]:
        """Give all lines of all records files: marks of a beginning, and results."""
        part = self.store.at(study)
        return [
            line.record
            for key in sorted(part.sizes(layout.PACKS))
            if layout.results_of(key)
            for line in lines_of(part.read(key), where=key, attempt=1, part=1)[0]
        ]

    def begun(self, study: str = "s") -> dict[int, int]:
        """Count how often each trial was begun."""
        marks = [line.trial for line in self.lines(study) if line.state is State.RUNNING]
        return {trial: marks.count(trial) for trial in sorted(set(marks))}

    def ended(self, study: str = "s") -> list[int]:
        """Name the trials that have a result, once for each."""
        return sorted(line.trial for line in self.lines(study) if line.state.terminal)

    def planned(self, study: str = "s") -> bool:
        return layout.round_key(1) in self.store.at(study).sizes("")

    def workers(self) -> list[psutil.Process]:
        """Find the workers that stand in this folder, without the parent that forked them."""
        return [each for each in self.processes() if _is_worker(each.parent())]

    def parent(self) -> psutil.Process:
        """Find the process that forks the workers; it is there between two packs too."""
        return next(each for each in self.processes() if not _is_worker(each.parent()))

    def processes(self) -> list[psutil.Process]:
        """Find workers and their parent."""
        found: list[psutil.Process] = []
        for each in psutil.process_iter():
            try:
                if _is_worker(each) and Path(each.cwd()) == self.folder:
                    found.append(each)
            except psutil.Error:
                continue
        return found


def _is_worker(process: psutil.Process | None) -> bool:
    try:
        return process is not None and "sweep.worker" in process.cmdline()
    except psutil.Error:  # it has just ended
        return False


def finish(client: subprocess.Popen[str], *, within_s: float = 120.0) -> Ended:
    try:
        out, err = client.communicate(timeout=within_s)
    except subprocess.TimeoutExpired:
        os.killpg(client.pid, signal.SIGKILL)
        out, err = client.communicate()
        raise AssertionError(f"no end within {within_s} s:\n{out}\n{err}") from None
    return Ended(client.returncode, out, err)


def kill(client: subprocess.Popen[str]) -> None:
    client.kill()
    client.communicate()


def wait_until(happened: Callable[[], bool], *, within_s: float = SOON_S) -> None:
    deadline = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def numbers(record: Record) -> tuple[object, ...]:
    """Give what has to be the same, bit for bit, however a trial came about."""
    return record.state, record.objective, record.metrics, record.history


def by_setting(state: Studied) -> dict[str, tuple[object, ...]]:
    """Give the numbers of every trial by its own values, in whichever order they were given."""
    return {
        repr(sorted(trial.values.items())): numbers(state.records[trial.number])
        for trial in state.trials
    }
