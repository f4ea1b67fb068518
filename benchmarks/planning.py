"""Plan guide=full through the real command, beside Hydra's own composing of a few of its trials.

    python benchmarks/planning.py [--stock 20]

Prints seconds and peak memory of planning all 62,208 trials, stock Hydra's seconds a trial, and
the ratio. Stock Hydra composes a multirun's trials twice: once to validate, once to launch.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

TRIALS = 62_208
COMMAND = [sys.executable, "-m", "sweep", "plan", "+experiment=forecast", "guide=full"]


def plan() -> tuple[float, float]:
    """Return wall seconds and peak MiB of the plan command."""
    begun = time.perf_counter()
    done = subprocess.run(COMMAND, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - begun
    if f"{TRIALS:,} trials" not in done.stdout and f"{TRIALS:,}," not in done.stdout:
        raise SystemExit(f"the plan is not of {TRIALS:,} trials:\n{done.stdout}")
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def stock(trials: int) -> float:
    """Return Hydra's own seconds a trial: compose, twice."""
    from hydra import compose, initialize_config_dir

    configs = Path(__file__).parents[1] / "hydra_configs"
    sizes = (50, 100, 200, 500)
    with initialize_config_dir(str(configs), version_base="1.3"):
        begun = time.perf_counter()
        for number in range(trials):
            words = [f"model.hidden_size={sizes[number % 4]}", f"train.seed={number}"]
            for _ in range(2):
                compose("config", ["+experiment=forecast", *words], return_hydra_config=True)
        return (time.perf_counter() - begun) / trials


def main() -> None:
    """Measure both in one run and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stock", type=int, default=20, help="trials that stock Hydra composes")
    own, peak = plan()
    each = stock(parser.parse_args().stock)
    print(f"plan {TRIALS:,} trials: {own:.2f} s, peak {peak:.0f} MiB (goals: 3 s, 150 MB)")
    print(f"stock Hydra: {each * 1e3:.0f} ms a trial, {each * TRIALS / 3600:.1f} h for all")
    print(f"ratio: {each * TRIALS / own:,.0f}")


if __name__ == "__main__":
    main()
