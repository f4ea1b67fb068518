"""Measure what launching a trial costs that does nothing, and how memory grows with their number.

The same application goes through this launcher and, with few trials since it is slower, through
Hydra's basic launcher. Start-up is measured by a sweep of one trial and taken off. `--full` is the
size that docs/ cites: 1,000 and 10,000 trials.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

NOOP = Path(__file__).parent / "peers" / "noop.py"
QUIET = ("hydra.output_subdir=null", "hydra/job_logging=none", "hydra/hydra_logging=none")
OURS = ("hydra/launcher=kubernetes", "hydra/sweeper=grid", "hydra.launcher.cluster=local")
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
    start = _measure(1, *OURS, f"hydra.launcher.parallelism={options.cpus}")
    print(f"one trial: {start.wall_s:.2f} s, {start.peak_mib:.0f} MiB", flush=True)
    for trials in sizes:
        cost = _measure(trials, *OURS, f"hydra.launcher.parallelism={options.cpus}")
        ours = _each(cost, start, trials)
        print(
            f"{trials:,} trials: {cost.wall_s:.1f} s, {ours:.2f} ms a trial beyond start-up, "
            f"{1000 * (cost.cpu_s - start.cpu_s) / trials:.2f} ms of CPU, "
            f"peak {cost.peak_mib:.0f} MiB ({cost.peak_mib / start.peak_mib:.2f} times one trial)",
            flush=True,
        )
    first = _measure(1, *BASIC)
    basic = _each(_measure(options.basic, *BASIC), first, options.basic)
    print(f"Hydra's basic launcher, {options.basic} trials: {basic:.1f} ms a trial")
    print(f"ratio {basic / ours:.0f}")


def _each(cost: Cost, start: Cost, trials: int) -> float:
    return 1000 * (cost.wall_s - start.wall_s) / (trials - 1)


def _measure(trials: int, *words: str) -> Cost:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(NOOP), *QUIET, *words, "hydra.sweep.dir=out"]
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
