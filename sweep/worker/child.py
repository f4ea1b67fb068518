"""Train trials as the pod's parent hands them out, one thread, one records file."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from sweep.plan.exits import Exit
from sweep.search.climbing import Climb
from sweep.study.reading import offered_to
from sweep.worker.assignment import Ready
from sweep.worker.attempt import Attempt, measure_in_turn
from sweep.worker.ending import code_of
from sweep.worker.notice import Notice
from sweep.worker.settling import Writer, cpu_seconds, settle, widened

FIRST_TO_GO = "1000"  # where memory runs out, the kernel takes this process before its parent


def become_child(
    ready: Ready,
    *,
    index: int,
    attempt: Attempt,
    part: int,
    grace_s: float,
    orders: int,
    answers: int,
    lifeline: int,
) -> NoReturn:
    """Be the child of a fork until the orders end; never return.

    Orders and answers are lines of JSON on these descriptors: {"trial": N, "deaths": D,
    "first": B} in, with "climb": [RUNG, EPOCHS] where the trial is to rest there, and {"trial": N,
    "cpu_seconds": S} out once it has its record. The lifeline ends with the parent.
    """

    def work() -> int:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        notice = Notice(grace_s).listen()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        _go_first()
        threading.Thread(target=die_with_parent, args=(lifeline,), daemon=True).start()
        own = ready.reopened().pack(index, notice=notice)
        fence = replace(attempt, store=own.store).fence(own.round.number)
        writer = Writer(attempt=attempt.number, part=part, fence=fence)
        trials = {trial.number: trial for trial in own.round.trials}
        if part == 1:
            measure_in_turn(own)
        notice.check()
        with os.fdopen(orders) as incoming:
            for order in _orders(incoming, notice):
                if order["trial"] not in trials:  # it was offered since
                    own = widened(own, offered_to(own.store, own.round))
                    trials = {trial.number: trial for trial in own.round.trials}
                settle(
                    own,
                    trials[order["trial"]],
                    writer=writer,
                    deaths=order["deaths"],
                    first=bool(order["first"]),
                    climb=Climb(order["trial"], *order["climb"]) if "climb" in order else None,
                )
                answer = {"trial": order["trial"], "cpu_seconds": cpu_seconds()}
                os.write(answers, json.dumps(answer).encode() + b"\n")
        return Exit.DONE

    os._exit(code_of(work))


def _orders(incoming: Iterable[str], notice: Notice) -> Iterable[dict[str, Any]]:
    lines = iter(incoming)
    while True:
        with notice.breakable():  # waiting, it has nothing to lose
            line = next(lines, None)
        if line is None:
            return
        yield json.loads(line)


def _go_first() -> None:
    try:
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO)
    except OSError:  # not on Linux: the kernel chooses by size
        return


def die_with_parent(lifeline: int) -> None:
    """End this process when its parent does."""
    # Only the parent holds the other end: this returns when the parent is gone, however it went.
    os.read(lifeline, 1)
    sys.stderr.flush()
    os._exit(Exit.TOLD_TO_STOP)
