"""The test bed from a shell: `python -m testbed up`, `down`, `env`, `build`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Run one verb."""
    parser = argparse.ArgumentParser(prog="testbed")
    verbs = parser.add_subparsers(dest="verb", required=True)
    guard = verbs.add_parser("guard", help="take a bed down when its owner ends (internal)")
    guard.add_argument("folder", type=Path)
    guard.add_argument("lifeline", type=int)
    play = verbs.add_parser("play", help="be the kubelet of fake nodes (internal)")
    play.add_argument("file", type=Path)
    parsed = parser.parse_args(arguments)
    if parsed.verb == "guard":
        from testbed.bed import guard as wait

        wait(parsed.folder, lifeline=parsed.lifeline)
    if parsed.verb == "play":
        from testbed.player import play

        play(parsed.file)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
