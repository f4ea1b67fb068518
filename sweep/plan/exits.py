"""Say what a worker's exit code means, for the local cluster and for a Job's podFailurePolicy."""

from __future__ import annotations

import signal
from enum import Enum, IntEnum


class Exit(IntEnum):
    """The worker's exit codes; any other code counts as one failed attempt."""

    DONE = 0  # every trial of the pack has a record, failed ones included
    NOTHING_RUNS = 64  # plan unreadable, task not importable, version mismatch
    PACK_FAILS = 65  # only this pack cannot: its attempts are used up
    STORE_AWAY = 69  # the store was unreachable beyond patience
    TOLD_TO_STOP = 143


class Verdict(Enum):
    """What a cluster does after a worker ended."""

    DONE = "done"
    AGAIN = "again"  # not counted: nobody's fault
    COUNT = "count"  # one more try, of those that the pack has
    LOST = "lost"  # its node went silent: a later round has the pack, what it writes is ignored
    FAIL_PACK = "fail pack"
    FAIL_ROUND = "fail round"


def verdict(code: int) -> Verdict:
    """Judge an exit code; a negative code is a signal, as subprocess reports it."""
    return {
        Exit.DONE: Verdict.DONE,
        Exit.NOTHING_RUNS: Verdict.FAIL_ROUND,
        Exit.PACK_FAILS: Verdict.FAIL_PACK,
        Exit.STORE_AWAY: Verdict.AGAIN,
        Exit.TOLD_TO_STOP: Verdict.AGAIN,
        -signal.SIGTERM: Verdict.AGAIN,
    }.get(code, Verdict.COUNT)


def describe(code: int) -> str:
    """Tell in words how a worker ended."""
    if code == -signal.SIGKILL:
        return "killed (SIGKILL; where nobody did that by hand, the machine ran out of memory)"
    if code < 0:
        return f"ended by signal {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
