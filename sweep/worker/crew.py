"""Keep a pod's children at work: hand trials out, hear of them, draw the lesson of a death."""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from sweep.errors import BadInput, StoreLost
from sweep.plan.exits import Exit, describe
from sweep.worker.fence import Fence
from sweep.worker.notice import Notice
from sweep.worker.past import Past

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0  # at the fence, while nothing else happens
PATIENCE = 0.72  # share of the grace after which a child that has not ended is killed

Order = dict[str, Any]  # "trial", and what else its child has to know of it
Fork = Callable[[int, int, int, Sequence[int]], int]  # part, orders, answers, what to close: pid
Died = Callable[[Order, str, float], bool]  # of what, how, CPU seconds to whether it is recorded
More = Callable[[], Order | None]  # claims what else there is to do; None: nothing, for now


@dataclass(slots=True)
class Child:
    """One forked process and what it works on."""

    pid: int
    part: int
    orders: int  # descriptors of our ends
    answers: int
    order: Order | None = None  # what it works on
    unread: bytes = b""
    cpu_seconds: float = 0.0  # when its trial was handed out


@dataclass(slots=True, kw_only=True)
class Crew:
    """Train trials side by side in forked processes, fewer at a time when memory runs out."""

    orders: Sequence[Order]  # in the order of training
    width: int
    past: Past
    max_attempts: int
    fresh: bool  # nobody can have begun a trial before
    fork: Fork
    died: Died
    notice: Notice
    fence: Fence
    grace_s: float
    more: More = lambda: None
    expects_more: Callable[[], bool] | None = None  # None: nothing comes but by what is done here
    children: dict[int, Child] = field(default_factory=dict)
    _waiting: deque[Order] = field(default_factory=deque)
    _dry: bool = False  # there was nothing more when it was last asked
    _begun: set[int] = field(default_factory=set)
    _parts: int = 0

    def run(self) -> None:
        """Bring every trial to its record.

        Raises ToldToStop and Fenced once the children have ended, and StoreLost.
        """
        self._waiting = deque(self.orders)
        with woken_by_children() as wake, self._ending():
            while True:
                self.notice.check()
                self.fence.check()
                self._hand_out()
                if not self._waiting and not self._busy() and not self._expects():
                    return
                self._hear(wake)
                self._reap()

    def _expects(self) -> bool:
        return self.expects_more is not None and self.expects_more()

    def _busy(self) -> list[Child]:
        return [child for child in self.children.values() if child.order is not None]

    def _next(self) -> Order | None:
        if self._waiting:
            return self._waiting.popleft()
        if not self._dry or self.expects_more is not None:
            found = self.more()
            self._dry = found is None
            return found
        return None

    def _hand_out(self) -> None:
        while len(self._busy()) < self.width and (order := self._next()) is not None:
            idle = [child for child in self.children.values() if child.order is None]
            child = idle[0] if idle else self._hire()
            trial = order["trial"]
            told = {
                **order,
                "deaths": self.past.blame.count(trial, most=self.max_attempts),
                "first": self.fresh and trial not in self._begun,
            }
            self._begun.add(trial)
            child.order = order
            with suppress(BrokenPipeError):  # it has just died: its end is read next
                os.write(child.orders, json.dumps(told).encode() + b"\n")

    def _hire(self) -> Child:
        self._parts += 1
        orders_in, orders = os.pipe()
        answers, answers_out = os.pipe()
        siblings = [n for child in self.children.values() for n in (child.orders, child.answers)]
        pid = self.fork(self._parts, orders_in, answers_out, [*siblings, orders, answers])
        os.close(orders_in)
        os.close(answers_out)
        child = Child(pid, self._parts, orders, answers)
        self.children[pid] = child
        return child

    def _hear(self, wake: int) -> None:
        answers = {child.answers: child for child in self.children.values()}
        ready, _, _ = select.select([wake, *answers], [], [], LOOK_EVERY_S)
        if wake in ready:
            os.read(wake, 4096)
        for number in ready:
            if number in answers:
                self._listen(answers[number])

    def _listen(self, child: Child) -> None:
        child.unread += os.read(child.answers, 1 << 16)
        *lines, child.unread = child.unread.split(b"\n")
        for line in lines:
            answer = json.loads(line)
            child.order, child.cpu_seconds = None, answer["cpu_seconds"]
            self._dry = False  # what it came to may let another go on

    def _reap(self) -> None:
        for child in list(self.children.values()):
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                self._listen(child)  # what it said last
                self._forget(child)
                cpu = usage.ru_utime + usage.ru_stime - child.cpu_seconds
                self._learn(child, os.waitstatus_to_exitcode(status), cpu)

    def _learn(self, child: Child, code: int, cpu_seconds: float) -> None:
        if code == Exit.STORE_AWAY:
            raise StoreLost("a worker of this pod has lost the store; see the line above")
        if code == Exit.NOTHING_RUNS:
            raise BadInput("a worker of this pod cannot start; see the line above")
        order, self._dry = child.order, False
        if code != Exit.DONE:
            own = order["trial"] if order is not None else None
            log.warning("child %s (trial %s) %s", child.part, own, describe(code))
        if order is None:
            return
        trial = int(order["trial"])
        if code == Exit.TOLD_TO_STOP:
            self.notice.check()
            self.fence.check()
            self._waiting.appendleft(order)  # somebody told that child alone
            return
        beside = len(self._busy())
        if code == -signal.SIGKILL:
            # The children share the pod's memory: fewer at once is what a retry needs.
            self.width = max(1, self.width // 2)
            log.warning("pod: going on with %s trials at a time", self.width)
        if not self.died(order, describe(code), cpu_seconds):
            blame = self.past.blame
            lone = beside == 0 or code != -signal.SIGKILL
            (blame.alone if lone else blame.shared)[trial] += 1
            self._waiting.append(order)

    def _forget(self, child: Child) -> None:
        del self.children[child.pid]
        os.close(child.orders)
        os.close(child.answers)

    @contextmanager
    def _ending(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            for pid in self.children:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            raise
        finally:
            self._dismiss()

    def _dismiss(self) -> None:
        """Wait until all children have ended; kill what does not."""
        deadline = time.monotonic() + PATIENCE * self.grace_s
        for child in self.children.values():
            os.close(child.orders)  # no orders any more: an idle child ends
        for child in self.children.values():
            while os.waitpid(child.pid, os.WNOHANG)[0] == 0:
                if time.monotonic() > deadline:
                    os.kill(child.pid, signal.SIGKILL)
                    os.waitpid(child.pid, 0)
                    break
                time.sleep(0.01)
            os.close(child.answers)
        self.children.clear()


@contextmanager
def woken_by_children() -> Iterator[int]:
    """Give a descriptor that can be read whenever a child has ended."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    before = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    handler = signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        yield read_end
    finally:
        signal.signal(signal.SIGCHLD, handler)
        signal.set_wakeup_fd(before)
        os.close(read_end)
        os.close(write_end)
