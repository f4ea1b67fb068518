"""Live one attempt of a pack: claim it, train its trials in turn, close it."""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sweep.clock import CLOCK
from sweep.errors import StoreLost, SweepError
from sweep.plan import layout
from sweep.plan.exits import Exit
from sweep.plan.trial import Value
from sweep.store import Store
from sweep.study.reading import exists
from sweep.worker.fence import Fence
from sweep.worker.notice import ToldToStop
from sweep.worker.past import past_of
from sweep.worker.settling import Assignment, Writer, resolved, settle

log = logging.getLogger(__name__)


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
        measure_baselines(work)
        writer = Writer(attempt=attempt.number, part=1, fence=attempt.fence(work.round.number))
        trials = {trial.number: trial for trial in work.round.trials}
        for number in work.pack.trials:
            work.notice.check()
            if number not in past.done:
                deaths = past.blame.count(number, most=work.max_attempts)
                first = attempt.number == 1 and work.round.number == 1
                settle(work, trials[number], writer=writer, deaths=deaths, first=first)
    return Exit.DONE


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


def measure_baselines(work: Assignment) -> None:
    """Score what needs no network, once a study: the round's last pack, the shortest, does it."""
    if work.pack is not work.round.packs[-1] or work.application is None:
        return
    if exists(work.store, layout.BASELINES):
        return
    tree = resolved(work.round, work.round.trials[0])
    try:
        with work.notice.breakable():
            scores = work.application.baselines(tree)
    except Exception as error:  # noqa: BLE001  costs the study its baselines, and no trial
        log.warning("baselines could not be measured: %s: %s", type(error).__name__, error)
        return
    work.store.create(layout.BASELINES, json.dumps(scores).encode())
