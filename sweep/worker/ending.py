"""Turn how a worker's work ends into its exit code."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from sweep.errors import SweepError, Unreachable
from sweep.plan.exits import Exit
from sweep.worker.notice import ToldToStop

log = logging.getLogger(__name__)

MESSAGE = Path("/dev/termination-log")  # Kubernetes shows its content beside the pod's state
FAILED = 1


def code_of(work: Callable[[], int]) -> int:
    """Do the work of a forked process, which must not raise; return its exit code."""
    try:
        return int(work())
    except ToldToStop:
        return Exit.TOLD_TO_STOP
    except Unreachable as error:
        log.error("%s", error)  # noqa: TRY400  one line, no traceback
        return Exit.STORE_AWAY
    except SweepError as error:
        log.error("%s", error)  # noqa: TRY400
        return Exit.NOTHING_RUNS
    except BaseException:  # noqa: BLE001  nothing may pass a fork's end
        traceback.print_exc()
        return FAILED
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def leave_word(why: str, *, message: Path = MESSAGE) -> None:
    """Tell Kubernetes in one line why the container ends, where it listens."""
    if not message.exists():
        return
    try:
        message.write_text(why.splitlines()[0] + "\n" if why else "")
    except OSError as error:
        log.warning("%s cannot be written: %s", message, error.strerror)
