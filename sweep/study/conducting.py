"""Follow a round of a study to its end, and tell a person how it goes."""

from __future__ import annotations

import os
import shlex
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from rich.console import Console

from sweep.clock import CLOCK
from sweep.cluster import Cluster, PackEvent, Stage, Work
from sweep.errors import BadInput, Detached, Interrupted
from sweep.plan import layout
from sweep.plan.exits import Exit, Verdict
from sweep.plan.facets import Flat
from sweep.plan.round import Base, Round, Study, all_trials, round_hash
from sweep.plan.trial import Record, State, Trial
from sweep.report.html import import_libraries
from sweep.report.leaderboard import Leaderboard, rank
from sweep.report.narration import Subject
from sweep.report.progress import Display, open_display
from sweep.report.tally import Tally
from sweep.schema import flatten
from sweep.store import Store
from sweep.study.outline import Outline
from sweep.study.parent import ParentRun
from sweep.study.reading import Reader
from sweep.study.stopping import CANCELLED, ask_to_stop, asked_to_stop

LOOK_EVERY_S = 0.25
REMOTE_LOOK_EVERY_S = 2.0
GRACE_S = 5.0
PROBE_BYTES = 1 << 16  # an empty file fits on a full disk


@dataclass(frozen=True, slots=True, kw_only=True)
class Studied:
    """A study with all its rounds, as far as records tell."""

    place: Store
    study: Study
    bases: Sequence[Base]
    trials: Sequence[Trial]
    reader: Reader

    @property
    def records(self) -> Mapping[int, Record]:
        """Give the terminal records by trial."""
        return self.reader.ledger.records

    def flats(self) -> list[Flat]:
        """Flatten the bases."""
        return [flatten(base.config) for base in self.bases]

    def board(self) -> Leaderboard:
        """Rank the configurations."""
        return rank(
            self.trials,
            bases=self.flats(),
            records=self.records,
            direction=self.study.direction,
            objective=self.study.objective,
            test=self.study.test,
            seed=self.study.seed,
        )


def studied(place: Store, study: Study, rounds: Sequence[Round]) -> Studied:
    """Read all records of a study."""
    bases, trials = all_trials(rounds)
    reader = Reader(place, {key: size for r in rounds for key, size in r.fences.items()})
    reader.look()
    return Studied(place=place, study=study, bases=bases, trials=trials, reader=reader)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conducted:
    """How a round ended."""

    studied: Studied
    problems: Mapping[int, str]  # pack to why it was given up
    lost: frozenset[int] = frozenset()  # packs whose node went silent


def conduct(
    state: Studied,
    plan: Outline,
    *,
    cluster: Cluster,
    workers: int,
    console: Console,
    echo: Callable[[int], None] | None = None,
    detach: bool = False,
    adopt: bool = False,
) -> Conducted:
    """Run one round and wait for its end; the caller holds the study's lease.

    `echo` is called with each pack that ended, to show what it printed. `adopt` follows a round
    that runs already, and starts nothing.

    Raises Interrupted after Ctrl-C and where a person cancels, with the way to go on; Detached
    once the round runs without us, where `detach` asks for it; StoreLost, Unreachable and BadInput
    as they come from store, cluster and workers. What ends with its client is ended.
    """
    study = state.study
    work = work_of(study, plan.round, store=_parent_address(state))
    now = CLOCK.now()
    tally, subject = _tally(state, plan, workers=workers, now=now), _subject(state)
    problems: dict[int, str] = {}
    lost: set[int] = set()
    parent = ParentRun(state.place, study)
    try:
        _begin(cluster, work, adopt=adopt)
        parent.start()
        if detach:
            _detach(state)
        if study.facts.get("ranked"):
            threading.Thread(target=import_libraries, name="report", daemon=True).start()
        with open_display(tally, subject=subject, console=console, now=now) as display:
            _follow(
                state,
                cluster,
                display=display,
                problems=problems,
                lost=lost,
                echo=echo,
                limit=study.limits.get("max_failed"),
            )
    except KeyboardInterrupt:
        if cluster.lasting:
            raise Interrupted(how_to_come_back(state)) from None
        cluster.stop(GRACE_S)
        state.reader.look()
        raise Interrupted(how_to_go_on(state)) from None
    except BaseException:
        if not cluster.lasting:
            cluster.stop(GRACE_S)
        raise
    finally:
        parent.join()
    if lost:
        cluster.remove()
    state.reader.look()
    return Conducted(studied=state, problems=problems, lost=frozenset(lost))


def look_on(
    state: Studied, plan: Outline, *, cluster: Cluster, workers: int, console: Console
) -> None:
    """Show a round that another client conducts, and change nothing.

    Raises Interrupted after Ctrl-C, BadInput where nothing of it runs.
    """
    _begin(cluster, work_of(state.study, plan.round, store=_parent_address(state)), adopt=True)
    now = CLOCK.now()
    tally = _tally(state, plan, workers=workers, now=now)
    try:
        with open_display(tally, subject=_subject(state), console=console, now=now) as display:
            _follow(state, cluster, display=display, problems={}, lost=set(), echo=None, limit=None)
    except KeyboardInterrupt:
        raise Interrupted(how_to_come_back(state)) from None
    state.reader.look()


def work_of(study: Study, round_: Round, *, store: str) -> Work:
    """Describe a round to a cluster; `store` is the address of the whole store."""
    return Work(
        store=store,
        study=study.name,
        round=round_.number,
        round_hash=round_hash(round_),
        packs=[pack.number for pack in round_.packs],
        task=study.task,
        tracking=str(study.tracking.get("uri") or ""),
        max_attempts=_ends_of_a_pack(study, round_),
    )


def who() -> str:
    """Name this process to others that want its lease."""
    return f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%H:%M:%S')}"


def how_to_go_on(state: Studied, why: str = "interrupted") -> str:
    """Tell what is done and how to do the rest."""
    trained = [trial for trial in state.trials if trial.same_as is None]
    done = sum(trial.number in state.records for trial in trained)
    store = state.place.url.removeprefix("file://").rpartition("/")[0]
    return (
        f"{why}: {done} of {len(trained)} trials are done and kept; go on by "
        f"`python -m sweep resume {state.study.name} --store {shlex.quote(store)}`"
    )


def how_to_come_back(state: Studied) -> str:
    """Tell that the round goes on without us, and how to follow or stop it."""
    name, store = state.study.name, shlex.quote(state.place.url.rpartition("/")[0])
    verbs = ("attach", "status", "cancel")
    lines = "".join(f"\n  python -m sweep {verb} {name} --store {store}" for verb in verbs)
    return f"study {name} goes on without this client:{lines}"


def _tally(state: Studied, plan: Outline, *, workers: int, now: float) -> Tally:
    return Tally(
        {number: cost.flop for number, cost in plan.costs.items()},
        workers=workers,
        direction=state.study.direction,
        now=now,
    )


def _subject(state: Studied) -> Subject:
    return Subject(
        title=f"study {state.study.name}",
        objective=state.study.objective,
        label=_labels(state).__getitem__,
    )


def _begin(cluster: Cluster, work: Work, *, adopt: bool) -> None:
    if not adopt:
        cluster.submit(work)
    elif not cluster.adopt(work):
        raise BadInput(
            f"round {work.round} of study {work.study} does not run any more; "
            f"`python -m sweep resume {work.study}` does what is left"
        )


def _detach(state: Studied) -> NoReturn:
    raise Detached(how_to_come_back(state))


def _follow(
    state: Studied,
    cluster: Cluster,
    *,
    display: Display,
    problems: dict[int, str],
    lost: set[int],
    echo: Callable[[int], None] | None,
    limit: int | None,
) -> None:
    running: set[int] = set()
    stopping = False
    while not cluster.finished:
        ended: set[int] = set()
        for event in cluster.observe(REMOTE_LOOK_EVERY_S if cluster.lasting else LOOK_EVERY_S):
            if event.stage is Stage.NOTE:
                display.note(event.text, now=CLOCK.now())
            _note(state, event, running, ended, problems, lost)
            if echo is not None and event.stage is Stage.ENDED and event.pack is not None:
                echo(event.pack)
        # A store that is not on this machine is listed once, not once a pack.
        for record in state.reader.look(None if cluster.lasting else sorted(running | ended)):
            display.add(record, now=CLOCK.now())
        display.tick(running=len(running), now=CLOCK.now())
        failed = state.reader.ledger.count(State.FAILED)
        if limit is not None and failed > limit and not stopping:
            stopping = True
            ask_to_stop(state.place, f"{failed} trials failed, more than max_failed={limit}")
            if cluster.lasting:
                cluster.stop(GRACE_S)
        if asked_to_stop(state.place) == CANCELLED:
            if cluster.lasting:
                cluster.stop(GRACE_S)
            raise Interrupted(how_to_go_on(state, "cancelled"))


def _note(
    state: Studied,
    event: PackEvent,
    running: set[int],
    ended: set[int],
    problems: dict[int, str],
    lost: set[int],
) -> None:
    if event.stage is Stage.NOTE:
        return
    if event.verdict is Verdict.FAIL_ROUND:
        raise BadInput(f"no pack can run here: {event.text}; see the packs' logs in the store")
    assert event.pack is not None
    if event.stage is Stage.STARTED:
        running.add(event.pack)
        return
    running.discard(event.pack)
    ended.add(event.pack)
    if event.verdict is Verdict.LOST:
        lost.add(event.pack)
    if event.code == Exit.STORE_AWAY:
        state.place.write(layout.PROBE, bytes(PROBE_BYTES))  # raises where we cannot write either
    if event.verdict is Verdict.FAIL_PACK:
        problems[event.pack] = event.text


def _labels(state: Studied) -> dict[int, str]:
    names = state.board().names
    flats = state.flats()
    labels: dict[int, str] = {}
    for trial in state.trials:
        config = {**flats[trial.base], **trial.values}
        labels[trial.number] = " ".join(
            f"{short}={config[key]}" for key, short in names.items() if key in config
        )
    return labels


def _ends_of_a_pack(study: Study, round_: Round) -> int:
    # Each counted end is blamed on one trial, which is recorded as failed at its own limit: a pack
    # of many may end often before its worker gives up by itself.
    longest = max((len(pack.trials) for pack in round_.packs), default=1)
    return int(study.limits.get("max_attempts", 3)) * (longest + 1)


def _parent_address(state: Studied) -> str:
    return state.place.url.removesuffix(f"/{state.study.name}")
