"""Measure what a sweep of small trials takes, start-up included, by this launcher and by others.

The trials are one epoch of the LSTM application (50 units, batches of 32, 24 time steps) and differ
in their seed. All methods keep the same number of trials running, each on one thread. Ray Tune
is compared at few trials (`--ray-trials`), where its start-up weighs most for it, with this
launcher at as many, in several pairs, for start-up varies. Peers that cannot be installed are left
out, with a line that says so.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hydra
from omegaconf import OmegaConf
from peers.environments import NotInstallable, beside

from sweep.app import configs

WORDS = (
    "data=jfk",
    "data.lookback=24",
    "model.hidden_size=50",
    "train.batch_size=32",
    "train.epochs=1",
    "hydra.output_subdir=null",
)
UNTRACKED = "import sys; sys.modules['mlflow'] = None; from sweep.__main__ import main; main()"
NOTHING: Mapping[str, str] = {}
PEERS = Path(__file__).parent / "peers"
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


def main() -> None:
    """Print seconds for each method, and its ratio to this launcher at the same work."""
    options = _options()
    _adopt()
    trials, cpus = options.trials, options.cpus
    print(f"{trials} trials of one epoch, {cpus} at a time", flush=True)
    ours = _tell("this launcher, not tracked", lambda: _ours(trials, cpus, tracked=False))
    tracked = _tell("this launcher, tracked", lambda: _ours(trials, cpus, tracked=True), ours)
    _tell("a fresh process a trial", lambda: _fresh(trials, cpus), ours)
    _tell("a fresh process a trial, tracked", lambda: _fresh_tracked(trials, cpus), tracked)
    joblib = _peer("hydra-joblib-launcher", ["hydra-joblib-launcher==1.2.0"])
    if joblib is not None:
        _tell("hydra-joblib-launcher", lambda: _joblib(joblib, trials, cpus), ours)
    ray = _peer("Ray Tune", ["ray[tune]"])
    if ray is not None:
        few, ratios = options.ray_trials, []
        for _ in range(options.ray_runs):
            ours = _tell(f"this launcher, {few} trials", lambda: _ours(few, cpus, tracked=False))
            took = _tell(f"Ray Tune, {few} trials", lambda: _ray(ray, few, cpus), ours)
            ratios.append(took / ours)
        print(f"Ray Tune, median of {len(ratios)}: {statistics.median(ratios):.2f} times as long")


def _tell(method: str, run: Callable[[], None], ours: float | None = None) -> float:
    started, before = time.perf_counter(), _cpu_s()
    run()
    took = time.perf_counter() - started
    _reap()
    ratio = "" if ours is None else f", {took / ours:.2f} times as long"
    print(f"{method}: {took:.1f} s{ratio}; {_cpu_s() - before:.1f} s of CPU", flush=True)
    return took


def _adopt() -> None:
    """Become the parent of what outlives the processes that are started here, where Linux runs."""
    set_child_subreaper = 36
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(set_child_subreaper, 1)


def _reap() -> None:
    """Wait for what a method left behind: it may not cost the next one, and its time counts."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            found, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not found:
            time.sleep(0.05)
    print("something still runs that the last method left behind; its CPU time is not counted")


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _peer(name: str, requirements: Sequence[str]) -> Path | None:
    try:
        return beside(requirements)
    except NotInstallable as error:
        print(f"{name}: left out, it cannot be installed here ({error})")
        return None


def _ours(trials: int, cpus: int, *, tracked: bool) -> None:
    start = ["-m", "sweep"] if tracked else ["-c", UNTRACKED]
    words = [f"train.seed=range(0,{trials})", f"hydra.launcher.parallelism={cpus}", "-m"]
    _run([sys.executable, *start, *WORDS, "guide=none", *words])


def _fresh(trials: int, cpus: int) -> None:
    with ThreadPoolExecutor(cpus) as pool:
        done = pool.map(
            lambda seed: _run([sys.executable, "-m", "sweep", *WORDS, f"train.seed={seed}"]),
            range(trials),
        )
        list(done)


def _fresh_tracked(trials: int, cpus: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        uri = f"sqlite:///{folder}/mlflow.db"
        script = [sys.executable, str(PEERS / "tracked.py"), *WORDS]

        def train(seed: int) -> None:
            _run([*script, f"train.seed={seed}"], {"MLFLOW_TRACKING_URI": uri})

        train(0)  # two at once would both make the tables
        with ThreadPoolExecutor(cpus) as pool:
            list(pool.map(train, range(1, trials)))


def _joblib(python: Path, trials: int, cpus: int) -> None:
    words = ["hydra/launcher=joblib", "hydra/sweeper=basic", f"hydra.launcher.n_jobs={cpus}"]
    _run([str(python), "-m", "sweep", *WORDS, *words, f"train.seed=range(0,{trials})", "-m"])


def _ray(python: Path, trials: int, cpus: int) -> None:
    with hydra.initialize_config_dir(str(configs()), version_base="1.3"):
        config = hydra.compose("config", [w for w in WORDS if not w.startswith("hydra")])
    tree = OmegaConf.to_container(config, resolve=True)
    with tempfile.TemporaryDirectory() as folder:
        given = {"tree": tree, "trials": trials, "cpus": cpus, "storage": folder}
        _run([str(python), str(PEERS / "ray_tune.py"), json.dumps(given)])


def _run(command: Sequence[str], env: Mapping[str, str] = NOTHING) -> None:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**ENVIRONMENT, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=8, help="docs/ cites 32")
    parser.add_argument("--ray-trials", type=int, default=8)
    parser.add_argument("--ray-runs", type=int, default=5, help="pairs, of which the median counts")
    parser.add_argument("--cpus", type=int, default=2, help="trials at a time")
    return parser.parse_args()


if __name__ == "__main__":
    main()
