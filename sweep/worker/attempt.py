"""Live one attempt of a pack: claim it, train its trials, record each, close it."""

from __future__ import annotations

import json
import logging
import resource
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from omegaconf import OmegaConf

from sweep.clock import CLOCK
from sweep.errors import StoreLost, SweepError
from sweep.plan import layout
from sweep.plan.application import Application, Epoch, OnEpoch, Result
from sweep.plan.exits import Exit
from sweep.plan.packing import Pack
from sweep.plan.records import Ledger, lines_of, to_line
from sweep.plan.round import Round, Study, set_values
from sweep.plan.trial import Failure, Record, State, Trial
from sweep.store import Store
from sweep.worker.keeping import keep_weights

log = logging.getLogger(__name__)


class ToldToStop(BaseException):
    """Ends the training of a trial when this process is told to stop."""


class Watcher(Protocol):
    """Hears of a pack's trials as they go, to show them elsewhere; never raises."""

    def began(self, trial: Trial, record: Record) -> None:
        """Hear that a trial begins."""

    def epoch(self, trial: Trial, epoch: Epoch) -> None:
        """Hear that an epoch ended."""

    def ended(self, trial: Trial, record: Record) -> None:
        """Hear of a terminal record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One pack to work on, and all that is needed for it."""

    store: Store  # the study's part
    study: Study
    round: Round
    pack: Pack
    run: Callable[[Trial, OnEpoch], Result]
    application: Application | None  # what the task tells about itself, if it does
    versions: Mapping[str, str]
    watcher: Watcher
    device: str = "cpu"


def live(work: Assignment) -> Exit:
    """Train every trial of the pack that has no record yet.

    Returns DONE once each has one, failed and cancelled ones included; PACK_FAILS where earlier
    attempts all ended before their first trial. ToldToStop passes, after the attempt is closed.
    """
    attempt = claim(work.store, work.pack.number)
    with _closing(work, attempt):
        past = _past(work, attempt)
        if past.idle_deaths >= _max_attempts(work):
            return Exit.PACK_FAILS
        if work.pack is work.round.packs[-1]:
            _measure_baselines(work)
        trials = {trial.number: trial for trial in work.round.trials}
        for number in work.pack.trials:
            if number not in past.done:
                _settle(work, trials[number], attempt, past.deaths.get(number, 0))
    return Exit.DONE


def claim(store: Store, pack: int) -> int:
    """Take the next free attempt of a pack; of two claimants each gets another number."""
    keys = store.sizes(layout.pack_prefix(pack))
    number = 1 + max((n for key in keys if (n := layout.attempt_of(key))), default=0)
    body = json.dumps({"claimed": CLOCK.now()}).encode()
    while not store.create(layout.attempt_key(pack, number), body):
        number += 1
    return number


@dataclass(frozen=True, slots=True)
class _Past:
    done: frozenset[int]  # trials with a terminal record of this round
    deaths: Mapping[int, int]  # trial to the attempts that ended without a word while it ran
    idle_deaths: int  # attempts that ended so before any trial


def _past(work: Assignment, attempt: int) -> _Past:
    ledger, deaths, idle = Ledger(), dict[int, int](), 0
    prefix = layout.pack_prefix(work.pack.number)
    keys = sorted(work.store.sizes(prefix))
    for earlier in range(1, attempt):
        mine = Ledger()
        for key in keys:
            file = layout.results_of(key)
            if file is None or file.attempt != earlier:
                continue
            data = work.store.read(key)
            lines, _, _, _ = lines_of(data, where=key, attempt=earlier, part=file.part)
            for line in lines:
                mine.add(line)
                ledger.add(line)
        if "closed" in json.loads(work.store.read(layout.attempt_key(work.pack.number, earlier))):
            continue
        unfinished = [number for number in mine.running if number not in mine.records]
        idle += not mine.running
        for number in unfinished:
            deaths[number] = deaths.get(number, 0) + 1
    return _Past(frozenset(ledger.records), deaths, idle)


@contextmanager
def _closing(work: Assignment, attempt: int) -> Iterator[None]:
    key = layout.attempt_key(work.pack.number, attempt)
    claimed = CLOCK.now()
    reason = "done"
    try:
        yield
    except ToldToStop:
        reason = "told to stop"
        raise
    except StoreLost:
        reason = ""  # nothing can be written any more
        raise
    except SweepError as error:
        reason = str(error)
        raise
    except BaseException:
        reason = ""  # as after a kill: the next attempt counts it
        raise
    finally:
        if reason:
            body = {"claimed": claimed, "closed": CLOCK.now(), "reason": reason}
            work.store.write(key, json.dumps(body).encode())


def _settle(work: Assignment, trial: Trial, attempt: int, deaths: int) -> None:
    results = layout.results_key(work.pack.number, attempt)
    begun = Record(
        trial=trial.number,
        state=State.RUNNING,
        attempt=attempt,
        pack=work.pack.number,
        round=work.round.number,
        started=CLOCK.now(),
        device=work.device,
        versions=work.versions,
    )
    if stopped(work):
        record = replace(begun, state=State.CANCELLED, finished=begun.started)
    elif deaths >= _max_attempts(work):
        record = replace(begun, state=State.FAILED, error=_died(deaths), finished=begun.started)
    else:
        work.store.append(results, to_line(begun))
        work.watcher.began(trial, begun)
        record = _train(work, trial, begun)
    if record.state is State.FAILED:
        work.store.create(layout.failure_key(trial.number), b"")
    work.store.append(results, to_line(record))
    work.watcher.ended(trial, record)


def _train(work: Assignment, trial: Trial, begun: Record) -> Record:
    cpu = _cpu_seconds()
    try:
        result = work.run(trial, lambda epoch: work.watcher.epoch(trial, epoch))
    except StoreLost:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001  a trial's failure is data
        result = Result(state=State.FAILED, failure=_failure(error))
    weights = None
    if work.application is not None:
        weights = keep_weights(work.store, work.application, work.round, trial, result)
    return replace(
        begun,
        state=result.state,
        objective=result.objective,
        metrics=result.metrics,
        history=result.history,
        error=result.failure,
        finished=CLOCK.now(),
        cpu_seconds=_cpu_seconds() - cpu,
        device=result.device,
        value=result.objective if result.value is None else result.value,
        weights=weights,
    )


def stopped(work: Assignment) -> bool:
    """Tell whether the study is to go no further: by a person, or by too many failures."""
    if _exists(work.store, layout.STOP):
        return True
    most = work.study.limits.get("max_failed")
    return most is not None and len(work.store.sizes(layout.FAILURES)) > most


def _measure_baselines(work: Assignment) -> None:
    if work.application is None or _exists(work.store, layout.BASELINES):
        return
    tree = resolved(work.round, work.round.trials[0])
    try:
        scores = work.application.baselines(tree)
    except Exception as error:  # noqa: BLE001  costs the study its baselines, and no trial
        log.warning("baselines could not be measured: %s: %s", type(error).__name__, error)
        return
    work.store.create(layout.BASELINES, json.dumps(scores).encode())


def resolved(round_: Round, trial: Trial) -> dict[str, Any]:
    """Put a trial's values on its base and resolve it, in this process' environment."""
    config = OmegaConf.create(set_values(round_.bases[trial.base].config, trial.values))
    tree = OmegaConf.to_container(config, resolve=True)
    assert isinstance(tree, dict)
    return {str(key): value for key, value in tree.items()}


def _exists(store: Store, key: str) -> bool:
    try:
        store.read(key)
    except KeyError:
        return False
    return True


def _failure(error: BaseException) -> Failure:
    text = f"exit({error.code})" if isinstance(error, SystemExit) else str(error)
    trace = "".join(traceback.format_exception(error)[-12:])
    return Failure(type(error).__name__, text, trace=trace)


def _died(deaths: int) -> Failure:
    return Failure(
        "Killed",
        f"the worker died {deaths} times while it trained this trial, without a word",
        "most often memory: see the pack's log, give workers more memory, or run fewer at once",
    )


def _max_attempts(work: Assignment) -> int:
    return int(work.study.limits.get("max_attempts", 3))


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
