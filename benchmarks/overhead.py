"""Measure what launching a trial costs that does nothing, and how memory grows with their number.

One application is any Hydra application, for which Hydra itself prepares each job; it also goes
through Hydra's basic launcher, with few trials since that is slower. The other tells this launcher
what it may do, and needs no such preparation. What a small sweep takes, its start and its report,
is measured and taken off. `--full` is the size that docs/ cites: 1,000 and 10,000 trials.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
ANY, KNOWN = PEERS / "noop.py", PEERS / "noop_known.py"
QUIET = ("hydra.output_subdir=null", "hydra/job_logging=none", "hydra/hydra_logging=none")
OURS = ("hydra/launcher=kubernetes", "hydra/sweeper=grid", "hydra.launcher.cluster=local")
SMALL = 50  # trials of a sweep that is nearly all start and report
BASIC = ("hydra/launcher=basic", "hydra/sweeper=basic")


@dataclass(frozen=True)
class Cost:
    """What one command took, all its processes together, but memory: of the largest of them."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def main() -> None:
    """Print milliseconds a trial and peak memory."""
    options = _options()
    sizes = (1000, 10_000) if options.full else tuple(options.trials)
    words = (*OURS, f"hydra.launcher.parallelism={options.cpus}")
    _grow("an application that is known", KNOWN, sizes, *words)
    ours = _grow("any Hydra application", ANY, sizes, *words)
    first = _measure(ANY, 1, *BASIC)
    last = _measure(ANY, 1 + options.basic, *BASIC)
    basic = 1000 * (last.wall_s - first.wall_s) / options.basic
    print(
        f"the same by Hydra's basic launcher, {options.basic} trials: {basic:.1f} ms a trial, "
        f"{basic / ours:.1f} times as long"
    )


def _grow(what: str, script: Path, sizes: Sequence[int], *words: str) -> float:
    small = _measure(script, SMALL, *words)
    print(f"{what}, {SMALL} trials: {small.wall_s:.2f} s, {small.peak_mib:.0f} MiB", flush=True)
    each = 0.0
    for trials in sizes:
        cost = _measure(script, trials, *words)
        each = 1000 * (cost.wall_s - small.wall_s) / (trials - SMALL)
        busy = 1000 * (cost.cpu_s - small.cpu_s) / (trials - SMALL)
        print(
            f"{what}, {trials:,} trials: {cost.wall_s:.1f} s; each further one {each:.2f} ms, "
            f"{busy:.2f} ms of CPU; "
            f"peak {cost.peak_mib:.0f} MiB, {cost.peak_mib / small.peak_mib:.2f} times as much",
            flush=True,
        )
    return each


def _measure(script: Path, trials: int, *words: str) -> Cost:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(script), *QUIET, *words, "hydra.sweep.dir=out"]
        started = time.perf_counter()
        process = subprocess.Popen(
            [*command, "hydra.sweep.subdir=.", f"x=range(0,{trials})", "-m"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.stdout.close()
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(said.decode())
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--trials", type=int, nargs="+", default=[200, 1000])
    parser.add_argument("--basic", type=int, default=20, help="trials of the basic launcher")
    parser.add_argument("--cpus", type=int, default=2, help="trials at a time")
    return parser.parse_args()


if __name__ == "__main__":
    main()
