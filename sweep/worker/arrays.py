"""Train a fused pack on every GPU of a pod: a process for each, with its share of the trials."""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from sweep.cluster.gpus import VISIBLE
from sweep.errors import BadInput, StoreLost
from sweep.plan.exits import Exit, describe
from sweep.worker.assignment import Ready
from sweep.worker.attempt import Attempt, live_fused, measure_in_turn
from sweep.worker.child import die_with_parent
from sweep.worker.crew import LOOK_EVERY_S, PATIENCE, woken_by_children
from sweep.worker.ending import code_of
from sweep.worker.environment import Orders
from sweep.worker.notice import Notice
from sweep.worker.past import Past
from sweep.worker.settling import Writer

log = logging.getLogger(__name__)

CHILDREN = 0.75  # of the grace: the rest is for closing the attempt


def gpu_names(env: Mapping[str, str], count: int) -> list[str]:
    """Name a pod's GPUs, as CUDA does: they are counted from 0, whichever the node's they are."""
    told = [name.strip() for name in env.get(VISIBLE, "").split(",") if name.strip()]
    return told[:count] or [str(number) for number in range(count)]


def shares(trials: Sequence[int], count: int) -> list[tuple[int, ...]]:
    """Deal trials in turn, so that each share has long and short ones."""
    return [tuple(trials[first::count]) for first in range(count)]


def train_on_every_gpu(
    ready: Ready,
    orders: Orders,
    attempt: Attempt,
    *,
    gpus: Sequence[str],
    past: Past,
    notice: Notice,
) -> None:
    """Bring every trial of a fused pack to its record, with an array on each of these GPUs.

    Where one of the arrays dies, the others keep checkpoints and end, and ChildProcessError is
    raised: the next attempt goes on with all. ToldToStop, Fenced and StoreLost pass, after the
    processes have ended.
    """
    pack = ready.round.packs[orders.index]
    dealt = shares([n for n in pack.trials if n not in past.done], len(gpus))
    slots = ready.round.rungs is not None  # each takes what it claims
    fence = attempt.fence(ready.round.number)
    lifeline, held = os.pipe()
    children: dict[int, str] = {}  # process to GPU
    try:
        with woken_by_children() as wake, _ended(children, grace_s=orders.grace_s):
            for part, (gpu, share) in enumerate(zip(gpus, dealt, strict=True), start=1):
                if share or slots:
                    work = _array(
                        ready, orders, attempt, part=part, gpu=gpu, share=share, past=past
                    )
                    children[_fork(work, lifeline=lifeline, close=held)] = gpu
                    log.info("pack %s: GPU %s trains %s trials", pack.number, gpu, len(share))
            while children:
                notice.check()
                fence.check()
                if select.select([wake], [], [], LOOK_EVERY_S)[0]:
                    os.read(wake, 4096)
                _reap(children)
    finally:
        os.close(lifeline)
        os.close(held)


def _array(
    ready: Ready,
    orders: Orders,
    attempt: Attempt,
    *,
    part: int,
    gpu: str,
    share: tuple[int, ...],
    past: Past,
) -> Callable[[], Exit]:
    """Make what one of the processes does."""

    def work() -> Exit:
        notice = Notice(CHILDREN * orders.grace_s).listen()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        os.environ[VISIBLE] = gpu  # nothing of this process has looked at GPUs yet
        own = ready.reopened().pack(orders.index, notice=notice)
        if part == 1:
            measure_in_turn(own)
        own = replace(own, pack=replace(own.pack, trials=share))
        fence = replace(attempt, store=own.store).fence(own.round.number)
        writer = Writer(attempt=attempt.number, part=part, fence=fence)
        live_fused(own, attempt, writer=writer, past=past, part=part)
        return Exit.DONE

    return work


def _fork(work: Callable[[], Exit], *, lifeline: int, close: int) -> int:
    # Told to stop while it forks, the parent tells the child too, once that can hear it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    pid = os.fork()
    if pid == 0:
        os.close(close)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        threading.Thread(target=die_with_parent, args=(lifeline,), daemon=True).start()
        os._exit(code_of(work))
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def _reap(children: dict[int, str]) -> None:
    """Forget the arrays that have ended.

    Raises ChildProcessError, StoreLost and BadInput for one that did not end well.
    """
    for pid, gpu in list(children.items()):
        done, status = os.waitpid(pid, os.WNOHANG)
        if not done:
            continue
        del children[pid]
        code = os.waitstatus_to_exitcode(status)
        if code == Exit.STORE_AWAY:
            raise StoreLost("a worker of this pod has lost the store; see the line above")
        if code == Exit.NOTHING_RUNS:
            raise BadInput("a worker of this pod cannot start; see the line above")
        if code != Exit.DONE:
            raise ChildProcessError(f"the array on GPU {gpu}: {describe(code)}")


@contextmanager
def _ended(children: dict[int, str], *, grace_s: float) -> Iterator[None]:
    """End the processes that are left when this is left: by word, then by force."""
    try:
        yield
    finally:
        deadline = time.monotonic() + PATIENCE * grace_s
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        for pid in children:
            while os.waitpid(pid, os.WNOHANG)[0] == 0:
                if time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                    break
                time.sleep(0.01)
        children.clear()
