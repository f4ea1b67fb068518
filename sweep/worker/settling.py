"""Bring one trial to its record: begin it, train it, write down what came of it."""

from __future__ import annotations

import json
import resource
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol

from sweep.clock import CLOCK
from sweep.errors import StoreLost
from sweep.plan import layout
from sweep.plan.application import (
    Application,
    Checkpoints,
    Decision,
    Epoch,
    OnEpoch,
    Result,
)
from sweep.plan.packing import Pack
from sweep.plan.records import to_line
from sweep.plan.round import Round, Study, digest
from sweep.plan.rungs import mark_key
from sweep.plan.trial import Failure, Record, State, Trial
from sweep.search.climbing import Climb
from sweep.store import Store
from sweep.study.reading import exists
from sweep.study.resolving import resolve
from sweep.worker.checkpoint import Keeper, Seconds
from sweep.worker.fence import Fence, Fenced
from sweep.worker.keeping import keep_weights
from sweep.worker.notice import Notice, ToldToStop


class Watcher(Protocol):
    """Hears of a pack's trials as they go, to show them elsewhere; never raises."""

    def began(self, trial: Trial, record: Record) -> None:
        """Hear that a trial begins."""

    def epoch(self, trial: Trial, epoch: Epoch) -> None:
        """Hear that an epoch ended."""

    def ended(self, trial: Trial, record: Record) -> None:
        """Hear of a terminal record, or of one of a trial that rests."""

    def widen(self, round_: Round) -> None:
        """Hear that trials were added to the round."""


Train = Callable[[Trial, OnEpoch, Checkpoints], Result]

TRIALS_A_FILE = 50
PARTS_APART = 1000  # more than an attempt ever has workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One pack to work on, and all that is needed for it."""

    store: Store  # the study's part
    study: Study
    round: Round
    pack: Pack
    run: Train
    application: Application | None  # what the task tells about itself, if it does
    versions: Mapping[str, str]
    watcher: Watcher
    notice: Notice
    device: str = "cpu"

    @property
    def max_attempts(self) -> int:
        """Say how many workers one trial may cost."""
        return int(self.study.limits.get("max_attempts", 3))

    @property
    def goes_on(self) -> bool:
        """Tell whether the task can go on from a checkpoint."""
        return self.application is not None and self.application.run_on is not None


@dataclass(slots=True, kw_only=True)
class Writer:
    """Where one worker of an attempt writes its records, while the attempt counts.

    A bucket takes whole objects alone, so a file that grew for ever would be sent again and again:
    a new one is begun every TRIALS_A_FILE trials.
    """

    attempt: int
    part: int  # of its first file; another worker of the attempt has another
    fence: Fence
    trials: int = 0  # so far

    def next_file(self, pack: int) -> str:
        """Name the records file of the next trial."""
        part = self.part + PARTS_APART * (self.trials // TRIALS_A_FILE)
        self.trials += 1
        return layout.results_key(pack, self.attempt, part)


def settle(
    work: Assignment,
    trial: Trial,
    *,
    writer: Writer,
    deaths: int = 0,
    first: bool = False,
    climb: Climb | None = None,
) -> Record:
    """Write a record of a trial: cancelled, given up, or trained; to the end, or to its rung.

    `deaths` counts the workers that it cost so far; `first` says that nobody can have begun it
    before; a `climb` ends at a rung, where the trial rests and is marked. ToldToStop passes, after
    a line that tells what was spent.
    """
    course = begin(work, trial, writer=writer, deaths=deaths, first=first, climb=climb)
    if isinstance(course, Record):
        return course
    try:
        result = _train(work, course)
    except Fenced:
        raise
    except ToldToStop:
        course.told_to_stop()
        raise
    return course.end(result)


@dataclass(slots=True, kw_only=True)
class Course:
    """A trial that was begun and has no record yet."""

    work: Assignment
    trial: Trial
    writer: Writer
    results: str  # key of its records file
    keeper: Keeper | None
    begun: Record
    first: bool
    climb: Climb | None
    spent: Callable[[], Seconds]

    def end(self, result: Result | Exception) -> Record:
        """Write down what came of it, or where it rests; an exception is its failure."""
        work, trial = self.work, self.trial
        if isinstance(result, Exception):
            result = Result(state=State.FAILED, failure=failure_of(result))
        self.writer.fence.check()
        weights = None
        if work.application is not None and result.state.terminal:
            weights = keep_weights(work.store, work.application, work.round, trial, result)
        record = replace(
            self.begun,
            state=result.state,
            objective=result.objective,
            metrics=result.metrics,
            history=result.history,
            error=result.failure,
            finished=CLOCK.now(),
            device=result.device,
            versions={**self.begun.versions, **result.numbers},
            value=result.objective if result.value is None else result.value,
            weights=weights,
        )
        record = _with_seconds(record, self.keeper, self.spent())
        if self.keeper is not None and result.checkpoint is not None:
            self.keeper.rest(result.checkpoint)
        return _write(work, trial, record, self.results, self._unneeded(), climb=self.climb)

    def tell(self, epoch: Epoch) -> Decision:
        """Show an epoch, and say what becomes of the trial: it rests at its rung."""
        self.work.watcher.epoch(self.trial, epoch)
        there = self.climb is not None and epoch.number >= self.climb.epochs
        return Decision.PAUSE if there else Decision.GO_ON

    def told_to_stop(self) -> None:
        """Write down what was spent on it, unless the attempt no longer counts."""
        self.writer.fence.look()
        paused = replace(self.begun, state=State.PAUSED, finished=CLOCK.now())
        line = to_line(_with_seconds(paused, self.keeper, self.spent()))
        self.work.store.append(self.results, line)

    def _unneeded(self) -> Keeper | None:
        keeper = self.keeper
        return keeper if keeper is not None and (keeper.used or not self.first) else None


def begin(
    work: Assignment,
    trial: Trial,
    *,
    writer: Writer,
    deaths: int = 0,
    first: bool = False,
    climb: Climb | None = None,
    meter: Callable[[], Callable[[], Seconds]] | None = None,
    among_others: bool = False,
) -> Course | Record:
    """Begin a trial; where it is not to be trained, its terminal record is written and returned.

    `meter` begins to count what is spent on it. `among_others`, keeping a checkpoint of it never
    ends this process.
    """
    results = writer.next_file(work.pack.number)
    spent = (meter or own_meter)()
    keeper = _keeper(work, trial, writer, spent, among_others=among_others)
    begun = Record(
        trial=trial.number,
        state=State.RUNNING,
        attempt=writer.attempt,
        pack=work.pack.number,
        round=work.round.number,
        started=CLOCK.now(),
        device=work.device,
        versions=work.versions,
    )
    if stopped(work.store, work.study):
        # What was kept of it stays: `resume` goes on from there.
        record = replace(begun, state=State.CANCELLED, finished=begun.started)
        return _write(work, trial, record, results, None)
    if deaths >= work.max_attempts:
        record = replace(begun, state=State.FAILED, error=_died(deaths), finished=begun.started)
        unneeded = None if first else keeper
        return _write(work, trial, record, results, unneeded, climb=climb)
    if keeper is not None and not first:
        keeper.find()
    work.store.append(results, to_line(begun))
    work.watcher.began(trial, begun)
    return Course(
        work=work,
        trial=trial,
        writer=writer,
        results=results,
        keeper=keeper,
        begun=begun,
        first=first,
        climb=climb,
        spent=spent,
    )


def _write(
    work: Assignment,
    trial: Trial,
    record: Record,
    results: str,
    unneeded: Keeper | None,
    *,
    climb: Climb | None = None,
) -> Record:
    if record.state is State.FAILED:
        work.store.create(layout.failure_key(trial.number), b"")
    work.store.append(results, to_line(record))
    if climb is not None and record.state is not State.CANCELLED:
        mark(work, record, rung=climb.rung)
    if unneeded is not None and record.state.terminal:
        unneeded.clear()
    work.watcher.ended(trial, record)
    return record


def mark(work: Assignment, record: Record, *, rung: int) -> None:
    """Let everybody know what came of a trial on its way to a rung."""
    key = mark_key(record, rung=rung, direction=work.study.direction)
    work.store.write(key, to_line(record))


def widened(work: Assignment, round_: Round) -> Assignment:
    """Take in what was offered to a round since the work was put together.

    For applications that tell about themselves.
    """
    if len(round_.trials) == len(work.round.trials):
        return work
    work.watcher.widen(round_)
    assert work.application is not None
    return replace(work, round=round_, run=trainer(round_, work.application))


def trainer(round_: Round, application: Application) -> Train:
    """Let an application train the trials of a round."""

    def run(trial: Trial, on_epoch: OnEpoch, checkpoints: Checkpoints) -> Result:
        tree = resolved(round_, trial)
        if application.run_on is None:
            return application.run(tree, on_epoch)
        return application.run_on(tree, on_epoch, checkpoints)

    return run


def stopped(store: Store, study: Study) -> bool:
    """Tell whether a study is to go no further: by a person, or by too many failures."""
    if exists(store, layout.STOP):
        return True
    most = study.limits.get("max_failed")
    return most is not None and len(store.sizes(layout.FAILURES)) > most


def resolved(round_: Round, trial: Trial) -> dict[str, Any]:
    """Put a trial's values on its base and resolve it, in this process' environment."""
    return resolve(round_.bases[trial.base].config, trial.values)


class NoCheckpoints:
    """Stand for the checkpoints of a task that cannot go on from one."""

    last = None

    def reject(self, why: str) -> None:
        """Say that the checkpoint is of no use."""

    def wanted(self) -> bool:
        """Tell whether to keep a checkpoint now."""
        return False

    def keep(self, state: bytes) -> None:
        """Keep a checkpoint."""


def _keeper(
    work: Assignment,
    trial: Trial,
    writer: Writer,
    spent: Callable[[], Seconds],
    *,
    among_others: bool,
) -> Keeper | None:
    if not work.goes_on:
        return None
    return Keeper(
        work.store,
        trial,
        key=layout.checkpoint_key(trial.number, pack=work.pack.number, attempt=writer.attempt),
        configuration=cache(lambda: _configuration(work.round, trial)),
        versions=work.versions,
        fence=writer.fence,
        notice=work.notice,
        spent=spent,
        among_others=among_others,
    )


def _configuration(round_: Round, trial: Trial) -> str:
    # A resolver may give what JSON lacks; then no two hashes agree, and the trial begins anew.
    return digest(json.loads(json.dumps(resolved(round_, trial), default=repr)))


def _train(work: Assignment, course: Course) -> Result:
    try:
        if course.keeper is not None:
            return work.run(course.trial, course.tell, course.keeper)
        with work.notice.breakable():
            return work.run(course.trial, course.tell, NoCheckpoints())
    except StoreLost:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001  a trial's failure is data
        return Result(state=State.FAILED, failure=failure_of(error))


def _with_seconds(record: Record, keeper: Keeper | None, spent: Seconds) -> Record:
    whole = spent + (keeper.carried if keeper else Seconds())
    return replace(
        record,
        cpu_seconds=whole.cpu,
        gpu_seconds=whole.gpu,
        attempt_cpu_seconds=spent.cpu,
        attempt_gpu_seconds=spent.gpu,
        continued=keeper.continued if keeper else None,
    )


def failure_of(error: BaseException) -> Failure:
    """Tell of an exception as a trial's failure."""
    text = f"exit({error.code})" if isinstance(error, SystemExit) else str(error)
    trace = "".join(traceback.format_exception(error)[-12:])
    return Failure(type(error).__name__, text, trace=trace)


def _died(deaths: int) -> Failure:
    return Failure(
        "Killed",
        f"the worker died {deaths} times while it trained this trial, without a word",
        "most often memory: see the pack's log, give workers more memory, or run fewer at once",
    )


def own_meter() -> Callable[[], Seconds]:
    """Begin to count what this process spends."""
    cpu, clock = cpu_seconds(), CLOCK.now()

    def spent() -> Seconds:
        return Seconds(cpu_seconds() - cpu, CLOCK.now() - clock if holds_gpu() else 0.0)

    return spent


def cpu_seconds() -> float:
    """Count the processor's seconds that this process has used."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def holds_gpu() -> bool:
    """Tell whether this process has taken a GPU."""
    # Only a task that has loaded torch can have taken one.
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_initialized())
