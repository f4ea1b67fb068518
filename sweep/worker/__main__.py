"""Start a worker: one pack by the environment, as in a pod, or the parent of local ones.

In a pod SWEEP_STORE, SWEEP_STUDY, SWEEP_ROUND and JOB_COMPLETION_INDEX name the pack. The local
cluster starts `python -m sweep.worker warm FD` instead.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence

from sweep.errors import BadInput, SweepError, Unreachable
from sweep.plan.exits import Exit
from sweep.worker.assignment import get_ready
from sweep.worker.attempt import ToldToStop, live
from sweep.worker.warm import serve


def main(arguments: Sequence[str]) -> int:
    """Run the worker and return its exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    if arguments and arguments[0] == "warm":
        return serve(int(arguments[1]))
    signal.signal(signal.SIGTERM, _told_to_stop)
    try:
        ready = get_ready(
            address=_needed("SWEEP_STORE"),
            study=_needed("SWEEP_STUDY"),
            round_number=_number("SWEEP_ROUND"),
        )
        return live(ready.pack(_number("JOB_COMPLETION_INDEX")))
    except ToldToStop:
        return Exit.TOLD_TO_STOP
    except Unreachable as error:
        logging.getLogger(__name__).error("%s", error)  # noqa: TRY400  one line, no traceback
        return Exit.STORE_AWAY
    except SweepError as error:
        print(f"sweep: {error}", file=sys.stderr)  # noqa: T201
        return Exit.NOTHING_RUNS


def _needed(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise BadInput(f"{name} is not set; a worker needs it to find its pack")
    return value


def _number(name: str) -> int:
    text = _needed(name)
    try:
        return int(text)
    except ValueError:
        raise BadInput(f"{name}={text}: must be a whole number") from None


def _told_to_stop(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # told twice, it still closes its attempt
    raise ToldToStop


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
