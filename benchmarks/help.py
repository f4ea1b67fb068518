"""Start `python -m sweep --help`, beside `import hydra`.

    python benchmarks/help.py [--rounds 9]

Prints the median of the ratios of rounds in which each ran once; the goal is at most 2.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

HELP = [sys.executable, "-m", "sweep", "--help"]
HYDRA = [sys.executable, "-c", "import hydra"]


def seconds(command: list[str]) -> float:
    """Return the wall seconds of a process."""
    begun = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - begun


def main() -> None:
    """Interleave both and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = [(seconds(HELP), seconds(HYDRA)) for _ in range(parser.parse_args().rounds)]
    help_s, hydra_s = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(own / other for own, other in rounds)
    print(f"--help {help_s * 1e3:.0f} ms, import hydra {hydra_s * 1e3:.0f} ms")
    print(f"ratio: {ratio:.2f} (goal: at most 2)")


if __name__ == "__main__":
    main()
