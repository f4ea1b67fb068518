"""Run packs on this machine, each in a process forked from one that has imported everything."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sweep.cluster import PackEvent, Stage, Work
from sweep.cluster.memory import MemoryWatch
from sweep.cluster.parent import WorkersParent, take
from sweep.errors import BadInput, Unreachable
from sweep.plan.application import Tree
from sweep.plan.exits import Verdict, describe, verdict

FREE_REPEATS = 100  # ends that are nobody's fault, per pack, before they are taken for a fault


class LocalCluster:
    """Keep `workers` packs running until none is left; repeat a pack as a Job would.

    The workers' parent is `python -m sweep.worker warm`. It and they end when this process ends,
    however it ends.
    """

    def __init__(self, *, workers: int, gpus: Sequence[str] = ()) -> None:
        self.lasting = False
        self.gpus = gpus
        self.held: dict[int, str] = {}  # pack to its GPU
        self.workers = workers  # packs at a time; halved when memory runs out
        self.work: Work | None = None
        self.waiting: deque[int] = deque()
        self.running: set[int] = set()
        self.counted: dict[int, int] = {}
        self.repeated: dict[int, int] = {}
        self.parent: WorkersParent | None = None
        self._memory = MemoryWatch()

    def expect(self, task: str) -> None:
        """Start the workers' parent, which imports a task's module and what trials of it need.

        For a task that tells about itself: importing it does nothing else.
        """
        self._close()
        self.parent = take(task)

    def submit(self, work: Work) -> None:
        """Take a round in; the workers' parent of an earlier round of the study is used again."""
        if self.work == work:
            return
        before, self.work = self.work, work
        self.waiting = deque(work.packs)
        self.counted.clear()
        self.repeated.clear()
        same = before is None or before.study == work.study
        if self.parent is not None and self.parent.alive and same:
            self.parent.tell(_order(work))
        else:
            self._start(_order(work))

    def adopt(self, work: Work) -> bool:  # noqa: ARG002  its workers ended with their client
        """Tell that no local round outlives its client."""
        return False

    def remove(self) -> None:
        """Clear nothing away: no local pack is lost with a node."""

    @property
    def finished(self) -> bool:
        """Tell whether no pack runs or waits any more."""
        return not self.waiting and not self.running

    def observe(self, timeout_s: float) -> list[PackEvent]:
        """Start what there is room for, then wait for news, at most `timeout_s`."""
        assert self.parent is not None
        while self.waiting and len(self.running) < self.workers:
            gpu = self._gpu_for(self.waiting[0])
            if self.gpus and gpu is None:
                break
            number = self.waiting.popleft()
            self.running.add(number)
            order: dict[str, Any] = {"pack": number}
            if gpu is not None:
                self.held[number] = order["gpu"] = gpu
            self.parent.tell(order)
        messages = self.parent.messages(timeout_s)
        return self._parent_died() if messages is None else [self._event(m) for m in messages]

    def _gpu_for(self, number: int) -> str | None:
        """Choose the GPU of a pack; None where a fused one has to wait until one is free."""
        assert self.work is not None
        if not self.gpus:
            return None
        held = list(self.held.values())
        least = min(self.gpus, key=held.count)
        return None if number in self.work.fused and held.count(least) else least

    def crown(self, trees: Mapping[int, Tree], *, meanwhile: Callable[[], None]) -> str:
        """Have trials scored by a process that has imported all they need; return what it said.

        The outcome is in the store, or is not there. This process does `meanwhile` beside it.
        """
        if self.parent is None:
            return ""
        self.parent.tell({"crown": list(trees.items())})
        meanwhile()
        while (messages := self.parent.messages(None)) is not None:
            for message in messages:
                if "crowned" in message:
                    return str(message["said"]) if message["crowned"] == 0 else ""
        return ""

    def stop(self, grace_s: float) -> None:
        """End what runs: ask first, kill after the grace."""
        self.waiting.clear()
        if self.parent is None:
            return
        self.parent.stop(grace_s)
        self.running.clear()

    def _start(self, first: dict[str, Any]) -> None:
        self._close()
        self.parent = WorkersParent(first)

    def _close(self) -> None:
        if self.parent is not None:
            self.parent.close()
            self.parent = None

    def _event(self, message: dict[str, Any]) -> PackEvent:
        if "refused" in message:
            raise BadInput(message["refused"])
        number = int(message["pack"])
        if "pid" in message:
            return PackEvent(number, Stage.STARTED, f"process {message['pid']}")
        return self._ended(number, int(message["exit"]))

    def _ended(self, number: int, code: int) -> PackEvent:
        self.running.discard(number)
        self.held.pop(number, None)
        judged = verdict(code)
        text = f"worker {describe(code)}"
        if code == -signal.SIGKILL and self._memory.ran_out() and self.workers > 1:
            # The workers share this machine's memory: fewer at once is what a retry needs.
            self.workers = max(1, self.workers // 2)
            text += f"; memory ran out, going on with {self.workers} at a time"
        if judged is Verdict.COUNT:
            self.counted[number] = self.counted.get(number, 0) + 1
        if judged is Verdict.AGAIN:
            self.repeated[number] = self.repeated.get(number, 0) + 1
        assert self.work is not None
        over = (
            self.counted.get(number, 0) >= self.work.max_attempts
            or self.repeated.get(number, 0) >= FREE_REPEATS
        )
        if judged in (Verdict.COUNT, Verdict.AGAIN):
            if over:
                judged = Verdict.FAIL_PACK
            else:
                self.waiting.appendleft(number)
        if judged is Verdict.FAIL_ROUND:
            self.waiting.clear()
        return PackEvent(number, Stage.ENDED, text, judged, code)

    def _parent_died(self) -> list[PackEvent]:
        assert self.parent is not None
        assert self.work is not None
        code = self.parent.bury()
        lost = sorted(self.running)
        if not lost and not self.waiting:
            return []
        if not lost:
            raise Unreachable(
                f"the local workers' parent {describe(code)} before any pack ran; "
                "see the lines above, or run `python -m sweep.worker warm` by hand"
            )
        events = [self._ended(number, code) for number in lost]
        self._start(_order(self.work))
        return events


def _order(work: Work) -> dict[str, Any]:
    return {"store": work.store, "study": work.study, "round": work.round}
