"""Live one attempt of a pack: claim it, train its trials in turn, close it."""

from __future__ import annotations

import json
import logging
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from sweep.clock import CLOCK
from sweep.errors import StoreLost, SweepError
from sweep.plan import layout
from sweep.plan.exits import Exit
from sweep.plan.round import Round, Study
from sweep.plan.trial import Value
from sweep.store import Store
from sweep.study.reading import exists
from sweep.worker.climbing import Climber
from sweep.worker.fence import Fence
from sweep.worker.fused import train_at_once
from sweep.worker.notice import ToldToStop
from sweep.worker.offering import Offering
from sweep.worker.past import Past, past_of
from sweep.worker.settling import (
    Assignment,
    Writer,
    resolved,
    settle,
    stopped,
    widened,
)

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5  # for an offer, where a slot has nothing to do
PARENT = 0  # part of the records file of whoever hands trials out
BESIDE = 1000  # and from which on those of further ones are numbered
BATCHES = 100_000  # more than one of them writes


def live(work: Assignment) -> Exit:
    """Train every trial of the pack that has no record yet, one after another.

    Returns DONE once each has one, failed and cancelled ones included; PACK_FAILS where earlier
    attempts all ended before their first trial. ToldToStop passes, after the attempt is closed.
    """
    attempt = claim(work.store, work.pack.number)
    with attempt.closing():
        past = past_of(work.store, pack=work.pack.number, attempt=attempt.number)
        if past.idle_deaths >= work.max_attempts:
            return Exit.PACK_FAILS
        writer = Writer(attempt=attempt.number, part=1, fence=attempt.fence(work.round.number))
        if work.pack.fused:
            live_fused(work, attempt, writer=writer, past=past)
            return Exit.DONE
        if work.round.rungs is not None:
            _climb(work, attempt, writer=writer, past=past)
            return Exit.DONE
        if work.round.offers is not None:
            _take_offers(work, attempt, writer=writer, past=past)
            return Exit.DONE
        trials = {trial.number: trial for trial in work.round.trials}
        for number in work.pack.trials:
            work.notice.check()
            if number not in past.done:
                deaths = past.blame.count(number, most=work.max_attempts)
                first = attempt.number == 1 and work.round.number == 1
                settle(work, trials[number], writer=writer, deaths=deaths, first=first)
    return Exit.DONE


def live_fused(
    work: Assignment, attempt: Attempt, *, writer: Writer, past: Past, part: int = 1
) -> None:
    """Train the pack's trials at once, or what this slot claims; one part of several may do so."""
    climber = None
    if work.round.rungs is not None:
        climber = climber_of(work.store, work.study, work.round, attempt, past=past, part=part)
    train_at_once(work, writer=writer, past=past, climber=climber)


def _climb(work: Assignment, attempt: Attempt, *, writer: Writer, past: Past) -> None:
    """Train what this slot claims, until nothing is left for it."""
    trials = {trial.number: trial for trial in work.round.trials}
    climber = climber_of(work.store, work.study, work.round, attempt, past=past)
    climber.shown = lambda record: work.watcher.ended(trials[record.trial], record)
    while not stopped(work.store, work.study) and (climb := climber.next()) is not None:
        work.notice.check()
        deaths = past.blame.count(climb.trial, most=work.max_attempts)
        first = attempt.number == 1 and work.round.number == 1 and climb.rung == 0
        settle(work, trials[climb.trial], writer=writer, deaths=deaths, first=first, climb=climb)


def _take_offers(work: Assignment, attempt: Attempt, *, writer: Writer, past: Past) -> None:
    """Train what this slot claims of what is offered, as long as anything may be."""
    offering = offering_of(work.store, work.round, attempt, past=past)
    while not stopped(work.store, work.study):
        work.notice.check()
        number = offering.next()
        if number is not None:
            work = widened(work, offering.round)
            trial = next(trial for trial in work.round.trials if trial.number == number)
            deaths = past.blame.count(number, most=work.max_attempts)
            settle(work, trial, writer=writer, deaths=deaths, first=attempt.number == 1)
        elif offering.expects_more():
            writer.fence.check()
            with work.notice.breakable():
                time.sleep(LOOK_EVERY_S)
        else:
            return


def offering_of(store: Store, round_: Round, attempt: Attempt, *, past: Past) -> Offering:
    """Let an attempt take what is offered to its round."""
    return Offering(
        store=store,
        round=round_,
        pack=attempt.pack,
        attempt=attempt.number,
        known=past.records,
    )


def climber_of(
    store: Store, study: Study, round_: Round, attempt: Attempt, *, past: Past, part: int = 1
) -> Climber:
    """Let an attempt choose from the rungs; it writes to a records file of its own.

    Where several parts of it do so the first alone takes up what earlier attempts had claimed.
    """
    assert round_.rungs is not None
    own = PARENT if part == 1 else BESIDE + part
    key = layout.results_key(attempt.pack, attempt.number, own)
    return Climber(
        store=store,
        rungs=round_.rungs,
        trials=frozenset(trial.number for trial in round_.trials),
        round_number=round_.number,
        pack=attempt.pack,
        attempt=attempt.number,
        direction=study.direction,
        write=partial(store.append, key),
        known=past.records,
        looked_back=part > 1,
        batches=BATCHES * (part - 1),
    )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One life of a pack, claimed by this worker."""

    store: Store
    pack: int
    number: int
    body: dict[str, Value]

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Write why the attempt ends, where that is known: an end without a word is a death."""
        reason = "done"
        try:
            yield
        except ToldToStop as told:
            reason = told.reason
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
                body = {**self.body, "closed": CLOCK.now(), "reason": reason}
                key = layout.attempt_key(self.pack, self.number)
                self.store.write(key, json.dumps(body).encode())

    def fence(self, round_number: int) -> Fence:
        """Watch for whoever takes the pack over."""
        return Fence(self.store, round_number=round_number, pack=self.pack, attempt=self.number)


def claim(store: Store, pack: int, *, cpus: int = 1, gpus: int = 0) -> Attempt:
    """Take the next free attempt of a pack; of two claimants each gets another number.

    `cpus` and `gpus` are what it holds all its life.
    """
    keys = store.sizes(layout.pack_prefix(pack))
    number = 1 + max((n for key in keys if (n := layout.attempt_of(key))), default=0)
    body = {"claimed": CLOCK.now(), "host": platform.node(), "cpus": cpus, "gpus": gpus}
    while not store.create(layout.attempt_key(pack, number), json.dumps(body).encode()):
        number += 1
    return Attempt(store, pack, number, body)


def measure_in_turn(work: Assignment) -> None:
    """Measure baselines where nobody does it beside the packs: the last one, the shortest."""
    if work.pack is work.round.packs[-1]:
        measure_baselines(work)


def measure_baselines(work: Assignment) -> None:
    """Score what needs no network, unless the study has that already."""
    if work.application is None or exists(work.store, layout.BASELINES):
        return
    tree = resolved(work.round, work.round.trials[0])
    try:
        with work.notice.breakable():
            scores = work.application.baselines(tree)
            measure = work.application.baseline_errors
            errors = measure(tree) if measure else None
    except Exception as error:  # noqa: BLE001  costs the study its baselines, and no trial
        log.warning("baselines could not be measured: %s: %s", type(error).__name__, error)
        return
    if errors is not None:
        work.store.write(layout.BASELINE_ERRORS, errors)
    work.store.create(layout.BASELINES, json.dumps(scores).encode())
