"""The test bed from a shell: `python -m testbed build`, `up`, `env` and `down`."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

from testbed.errors import BedError


def main(arguments: list[str]) -> int:
    """Run one verb."""
    parser = argparse.ArgumentParser(prog="testbed", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    build = verbs.add_parser("build", help="build what comes as Go modules, install packages")
    build.add_argument("modules", nargs="*", metavar="MODULE", help="default: all")
    build.add_argument("--images", action="store_true", help="make the containers' images too")
    verbs.add_parser("up", help="start a cluster that stands until `down`; print its kubeconfig")
    verbs.add_parser("env", help="print what a shell has to evaluate to use it")
    verbs.add_parser("down", help="take it down")
    verbs.add_parser("keep")  # the rest is how the bed calls itself
    guard = verbs.add_parser("guard")
    guard.add_argument("folder", type=Path)
    guard.add_argument("lifeline", type=int)
    play = verbs.add_parser("play")
    play.add_argument("file", type=Path)
    parsed = parser.parse_args(arguments)
    try:
        return _run(parsed)
    except BedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1


def _run(parsed: argparse.Namespace) -> int:
    # Each verb takes only its own imports: the guardian lives as long as the bed.
    if parsed.verb == "guard":
        from testbed.bed import guard

        guard(parsed.folder, lifeline=parsed.lifeline)
        return 0
    if parsed.verb == "play":
        from testbed.player import play

        asyncio.run(play(parsed.file))
        return 0
    if parsed.verb == "build":
        return _build(parsed.modules, images=parsed.images)
    return _stand(parsed.verb)


def _build(modules: list[str], *, images: bool) -> int:
    from testbed import binaries, packages

    for module in modules or binaries.modules():
        started = time.monotonic()
        program = binaries.binary(module)
        print(f"{program} ({time.monotonic() - started:.0f} s)", flush=True)
    left = packages.install()
    if left:
        print(f"not installed, tests that need them are skipped: {' '.join(left)}")
    if images:
        _make_images()
    return 0


def _make_images() -> None:
    from testbed.base_image import python_image
    from testbed.real import missing_for_real_nodes
    from testbed.trainer_image import build_trainer

    missing = missing_for_real_nodes()
    if missing:
        print(f"no images are made: {missing}")
        return
    started = time.monotonic()
    built = build_trainer(python_image())
    print(f"{built.name} ({time.monotonic() - started:.0f} s)", flush=True)


def _stand(verb: str) -> int:
    from testbed import standing

    if verb == "keep":
        standing.keep()
    elif verb == "up":
        print(standing.up())
    elif verb == "down":
        print("taken down" if standing.down() else "nothing stands")
    elif verb == "env":
        folder = standing.find()
        if folder is None:
            raise BedError("nothing stands; run `make cluster-up`")
        print(f"export KUBECONFIG={(folder / standing.STANDING).read_text()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
