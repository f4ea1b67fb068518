"""Measure how long MLflow takes to be shown a study: ours against a call for every epoch.

Both write the same trials, with the same number of threads, to the same fresh store: a real
server on this machine and a sqlite file. What a call per epoch takes is measured on a tenth of the
trials and scaled. `--full` is the size that docs/ cites: 500 trials, 50 epochs, 4 metrics.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from sweep.plan.trial import Record, State
from sweep.tracking.entry import make_entry
from sweep.tracking.info import StudyInfo, TrialInfo
from sweep.tracking.publish import THREADS, publish
from sweep.tracking.server import Tracker, open_tracker

STARTED = 1_795_000_000.0
Trials = list[tuple[TrialInfo, Record]]


def main() -> None:
    """Print seconds and the ratio for each kind of store."""
    options = _options()
    trials = _make(options.trials, epochs=options.epochs, metrics=options.metrics)
    print(f"{options.trials} trials, {options.epochs} epochs, {options.metrics} metrics")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with _server(place / "server") as uri:
            _compare("server", open_tracker(uri, experiment="bench"), trials, threads=THREADS)
        sqlite = open_tracker(f"sqlite:///{place}/mlflow.db", experiment="bench")
        _compare("sqlite", sqlite, trials, threads=1)


def _compare(kind: str, tracker: Tracker, trials: Trials, *, threads: int) -> None:
    assert tracker.experiment_id  # the first call makes the tables
    study = StudyInfo(id="ours", job="bench", started=STARTED, objective="m0")
    ours = _time(lambda: _publish(tracker, study, trials))
    again = _time(lambda: _publish(tracker, study, trials))
    sample = trials[: max(len(trials) // 10, threads)]
    other = StudyInfo(id="each-epoch", job="bench", started=STARTED, objective="m0")
    theirs = _time(lambda: _each_epoch(tracker, other, sample, threads=threads))
    theirs *= len(trials) / len(sample)
    print(
        f"{kind}: ours {ours:.1f} s ({1000 * ours / len(trials):.0f} ms a trial), "
        f"nothing new {again:.1f} s, a call per epoch {theirs:.1f} s; "
        f"ratio {theirs / ours:.1f}",
        flush=True,
    )


def _publish(tracker: Tracker, study: StudyInfo, trials: Trials) -> None:
    done = publish(tracker, study=study, trials=trials)
    assert done.complete, done


def _each_epoch(
    tracker: Tracker, study: StudyInfo, trials: Sequence[tuple[TrialInfo, Record]], *, threads: int
) -> None:
    def show(one: tuple[TrialInfo, Record]) -> None:
        entry = make_entry(study, trial=one[0], record=one[1], parent=None)
        run = tracker.create(name=entry.name, tags=entry.tags, started_ms=entry.started_ms)
        tracker.write(run, params=entry.params)
        for step in sorted({point.step for point in entry.points}):
            tracker.write(run, points=[point for point in entry.points if point.step == step])
        tracker.set_status(run, status=entry.status, ended_ms=entry.ended_ms)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(show, trials))


def _make(count: int, *, epochs: int, metrics: int) -> Trials:
    history: dict[str, list[float | None]] = {
        f"m{m}": [1 / (epoch + m + 1) for epoch in range(epochs)] for m in range(metrics)
    }
    params = {f"model.setting{n}": n for n in range(8)}
    return [
        (
            TrialInfo(number=n, name=f"t{n}", params=params),
            Record(
                n,
                State.COMPLETED,
                1 / (n + 1),
                history=history,
                started=STARTED + n,
                finished=STARTED + n + 30,
            ),
        )
        for n in range(count)
    ]


def _time(act: Callable[[], None]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "2", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            command, env=os.environ | quiet, stdout=log, stderr=log, start_new_session=True
        ) as process,
    ):
        try:
            uri = f"http://127.0.0.1:{port}"
            while not _healthy(uri):
                if process.poll() is not None:
                    raise SystemExit((folder / "log").read_text())
                time.sleep(0.2)
            yield uri
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def _healthy(uri: str) -> bool:
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=80)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--metrics", type=int, default=4)
    parser.add_argument("--full", action="store_true", help="500 trials")
    options = parser.parse_args()
    if options.full:
        options.trials = 500
    return options


if __name__ == "__main__":
    main()
