"""Hand the trials of a pack to an application that trains many at once."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from sweep.clock import CLOCK
from sweep.cluster.gpus import usable_gpus
from sweep.errors import BadInput
from sweep.plan.application import Decision, Epoch, Result, Turn
from sweep.plan.packing import CPU_LANES, GPU_LANES
from sweep.plan.trial import Record
from sweep.search.climbing import Climb
from sweep.worker.checkpoint import EVERY, EVERY_S, Seconds
from sweep.worker.climbing import Climber
from sweep.worker.fence import Fenced
from sweep.worker.notice import ToldToStop, seconds
from sweep.worker.past import Past
from sweep.worker.settling import (
    Assignment,
    Course,
    NoCheckpoints,
    Writer,
    begin,
    cpu_seconds,
    holds_gpu,
    resolved,
    stopped,
)

KEEPING = 20  # times as long as it takes to keep all trials, they are not kept again


def train_at_once(
    work: Assignment, *, writer: Writer, past: Past, climber: Climber | None = None
) -> None:
    """Bring every trial of a fused pack to its record, or what a slot claims to its rung.

    After deaths without a word fewer are trained at once, in the end each alone. ToldToStop
    passes, after a line for each trial under way that tells what was spent.
    """
    application = work.application
    if application is None or application.run_pack is None:
        raise BadInput(
            f"pack {work.pack.number} is planned to be trained at once, and {work.study.task} "
            "cannot do that; was it planned by another version?"
        )
    hall = Hall(work, writer=writer, past=past, climber=climber)
    try:
        application.run_pack(hall)
    except Fenced:
        raise
    except ToldToStop:
        for course in list(hall.courses.values()):
            course.told_to_stop()
        raise


@dataclass(slots=True)
class Shares:
    """Share what this process spends among the trials that it trains at a time."""

    read: Callable[[], Seconds]
    sharing: int = 0
    _each: Seconds = field(
        default_factory=Seconds
    )  # that a trial got which was there from the start
    _last: Seconds = field(default_factory=Seconds)

    def __post_init__(self) -> None:
        self._last = self.read()

    def join(self) -> Callable[[], Seconds]:
        """Count one trial more; return what tells its share so far."""
        begun = self._now()
        self.sharing += 1

        def spent() -> Seconds:
            now = self._now()
            return Seconds(now.cpu - begun.cpu, now.gpu - begun.gpu)

        return spent

    def leave(self) -> None:
        """Count one trial less."""
        self._now()
        self.sharing -= 1

    def _now(self) -> Seconds:
        now = self.read()
        if self.sharing:
            self._each += Seconds(
                (now.cpu - self._last.cpu) / self.sharing,
                (now.gpu - self._last.gpu) / self.sharing,
            )
        self._last = now
        return self._each


class Hall:
    """Hands out the trials of a pack, and writes down what comes of each."""

    def __init__(
        self,
        work: Assignment,
        *,
        writer: Writer,
        past: Past,
        climber: Climber | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.courses: dict[int, Course] = {}  # under way
        self._work = work
        self._writer = writer
        self._past = past
        self._climber = climber
        self._waiting = deque(number for number in work.pack.trials if number not in past.done)
        lanes = GPU_LANES if usable_gpus(os.environ) else CPU_LANES
        full = lanes if climber is not None else len(self._waiting)
        self._most = past.width(full)  # at a time
        self._trials = {trial.number: trial for trial in work.round.trials}
        self._shares = Shares(_meter())
        self._now = now
        self._every_s = seconds(os.environ, EVERY, EVERY_S)
        self._due = now() + self._every_s
        self._asked = now()

    def left(self) -> int:
        """Say how many trials it may still hand out before one ends."""
        room = self._most - len(self.courses)
        return room if self._climber is not None else min(len(self._waiting), room)

    def next(self) -> Turn | None:
        """Begin the next trial that is to be trained."""
        while self.left() > 0:
            self._work.notice.check()
            climb = self._claim()
            if climb is None:
                return None
            course = self._begin(climb)
            if course is None:
                continue
            try:
                tree = resolved(self._work.round, course.trial)
            except Exception as error:  # noqa: BLE001  a resolver may raise anything
                self._end(course, error)
                continue
            return self._turn(course, tree)
        return None

    def wanted(self) -> bool:
        """Tell whether to keep all trials now; raises Fenced where the attempt was."""
        self._writer.fence.check()
        self._asked = self._now()
        return self._work.notice.told or self._asked >= self._due

    def kept(self) -> None:
        """Hear that all are kept; raises ToldToStop where this process has to end."""
        self._work.notice.check()
        took = self._now() - self._asked
        self._due = self._now() + max(self._every_s, KEEPING * took)

    def _claim(self) -> Climb | None:
        if self._climber is None:
            return Climb(self._waiting.popleft(), rung=0, epochs=0)
        if stopped(self._work.store, self._work.study):
            return None
        return self._climber.next()

    def _begin(self, climb: Climb) -> Course | None:
        work, number = self._work, climb.trial
        course = begin(
            work,
            self._trials[number],
            writer=self._writer,
            deaths=self._past.blame.count(number, most=work.max_attempts),
            first=self._writer.attempt == 1 and work.round.number == 1 and climb.rung == 0,
            climb=climb if self._climber is not None else None,
            meter=self._shares.join,
            among_others=True,
        )
        if isinstance(course, Record):
            self._shares.leave()
            return None
        self.courses[number] = course
        return course

    def _turn(self, course: Course, tree: dict[str, object]) -> Turn:
        def tell(epoch: Epoch) -> Decision:
            return course.tell(epoch)

        def end(result: Result | Exception) -> None:
            self._end(course, result)

        return Turn(tree=tree, on_epoch=tell, checkpoints=course.keeper or NoCheckpoints(), end=end)

    def _end(self, course: Course, result: Result | Exception) -> None:
        course.end(result)
        del self.courses[course.trial.number]
        self._shares.leave()


def _meter() -> Callable[[], Seconds]:
    begun = CLOCK.now()

    def read() -> Seconds:
        return Seconds(cpu_seconds(), CLOCK.now() - begun if holds_gpu() else 0.0)

    return read
