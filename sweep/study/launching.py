"""Launch a multirun as a study, batch by batch, or show what a launch would do."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from sweep.cluster import Cluster, Warm
from sweep.compose import Composition
from sweep.errors import BadInput, Interrupted
from sweep.plan import layout
from sweep.plan.application import Application
from sweep.plan.facets import Flat
from sweep.plan.records import resolve_twins
from sweep.plan.round import Round, Study, check_study_name, study_name
from sweep.plan.trial import Record, Value
from sweep.schema import flatten, unflatten
from sweep.store import Store, open_store
from sweep.study.conducting import (
    Conducted,
    Studied,
    conduct,
    how_to_go_on,
    studied,
    who,
    work_of,
)
from sweep.study.finishing import finish, give_up
from sweep.study.opening import add_round, open_study, surroundings
from sweep.study.outline import Outline, grid, outline
from sweep.study.rounds import next_round
from sweep.study.showing import choose_tracking
from sweep.study.siting import (
    Site,
    check_job,
    choose_site,
    open_cluster,
    prepare,
    render,
    whole,
)
from sweep.study.stopping import asked_to_stop
from sweep.study.telling import announce, describe, print_job


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A multirun as Hydra hands it over, with all that is read from outside."""

    task: str
    application: Application | None
    job: str
    composition: Composition
    overrides: tuple[str, ...]
    options: Mapping[str, Value]  # of hydra.launcher
    env: Mapping[str, str]
    cwd: Path
    now: float
    tail: str  # four hex digits
    direction: str | None = None  # that the sweeper names; None: trials are not ranked
    hydra: Mapping[str, Any] = field(default_factory=dict)  # what workers compose from


@dataclass(slots=True)
class Session:
    """A study that is launched in batches, each a round, on one cluster."""

    store: Store
    place: Store
    study: Study
    cluster: Cluster
    site: Site
    rounds: list[Round] = field(default_factory=list)


def show_plan(request: Request, *, console: Console) -> None:
    """Print what a launch would do; nothing is written.

    On a cluster that is its Job too; `hydra.launcher.check` asks the server whether it would take
    it. Raises BadInput, Unreachable.
    """
    site = choose_site(request.options, env=request.env)
    plan = _outline(request, site=site)
    if site.settings is not None:
        prepare(site)
        store = store_address(request.options.get("store"), env=request.env, site=site)
        study = _study(request, facts={}, site=site)
        work = work_of(study, plan.round, store=store)
        print_job(render(site.settings, work), console=console)
        if request.options.get("check"):
            check_job(site, work)
            console.print(f"check    {site.where} would take it")
    describe(plan, request.composition, site=site, console=console)


def open_session(request: Request, *, console: Console) -> Session:
    """Check a multirun, announce it, and write its study.

    Raises BadInput before anything is written, Unreachable.
    """
    site = choose_site(request.options, env=request.env)
    prepare(site)
    store = open_store(store_address(request.options.get("store"), env=request.env, site=site))
    if site.settings is not None and store.url.startswith("file://"):
        raise BadInput(
            f"store {store.url} is a folder of this machine, which no pod sees; "
            "name one by hydra.launcher.store=s3://BUCKET/PREFIX"
        )
    plan = _outline(request, site=site)
    study = _study(request, facts={"data": dict(plan.data)}, site=site)
    cluster = open_cluster(site)
    announce(study, plan, store=store, site=site, console=console)
    place = open_study(store, study)
    return Session(store, place, study, cluster, site)


def launch(session: Session, request: Request, *, console: Console) -> Mapping[int, Record]:
    """Run one batch as the next round; return the terminal records, twins included.

    Raises BadInput, Unreachable, Interrupted.
    """
    with session.place.hold(layout.LEASE, who()):
        packs = [pack.number for round_ in session.rounds for pack in round_.packs]
        plan = _outline(
            request,
            site=session.site,
            number=len(session.rounds) + 1,
            first_pack=1 + max(packs, default=-1),
        )
        plan = replace(
            plan, round=replace(plan.round, hydra=request.hydra, cluster=session.site.note)
        )
        add_round(session.place, plan.round)
        session.rounds.append(plan.round)
        state = studied(session.place, session.study, session.rounds)
        return run_rounds(
            state,
            plan,
            session.rounds,
            application=request.application,
            cluster=session.cluster,
            site=session.site,
            console=console,
            detach=bool(request.options.get("detach")),
        )


def run_rounds(
    state: Studied,
    plan: Outline,
    rounds: list[Round],
    *,
    application: Application | None,
    cluster: Cluster,
    site: Site,
    console: Console,
    detach: bool = False,
    adopt: bool = False,
) -> Mapping[int, Record]:
    """Conduct a round, and one more for packs that were lost with their nodes, then finish.

    The study is finished as far as it goes; records include twins. Rounds that are added stand in
    `rounds` too.
    """
    follow = partial(
        conduct,
        state,
        cluster=cluster,
        workers=site.workers * site.lanes,
        console=console,
        echo=None if application or cluster.lasting else lambda pack: _echo(state, pack),
    )
    try:
        done = follow(plan, detach=detach, adopt=adopt)
        while done.lost:
            plan = _round_of_the_lost(state, done, rounds, application, site)
            add_round(state.place, plan.round)
            rounds.append(plan.round)
            state.reader.fences = {**state.reader.fences, **plan.round.fences}
            done = follow(plan)
    except Interrupted:
        if not cluster.lasting or asked_to_stop(state.place) is not None:
            state.reader.look()
            give_up(state)
        raise
    try:
        finish(
            state,
            application=application,
            problems=done.problems,
            console=console,
            elsewhere=cluster.crown if isinstance(cluster, Warm) else None,
        )
    except KeyboardInterrupt:
        raise Interrupted(how_to_go_on(state)) from None
    twins = ((trial.number, trial.same_as) for trial in state.trials)
    return resolve_twins(state.records, twins)


def store_address(given: Value, *, env: Mapping[str, str], site: Site | None = None) -> str:
    """Choose the store: the one given, SWEEP_STORE, the release's, or ./sweep-store."""
    release = site.store if site else None
    return str(given or env.get("SWEEP_STORE") or release or "sweep-store")


def _round_of_the_lost(
    state: Studied,
    done: Conducted,
    rounds: Sequence[Round],
    application: Application | None,
    site: Site,
) -> Outline:
    trials = {t for p in rounds[-1].packs if p.number in done.lost for t in p.trials}
    missing = [t for t in state.trials if t.number in trials and t.number not in state.records]
    return next_round(state, rounds, missing, application, site=site)


def _echo(state: Studied, pack: int) -> None:
    # What a stranger's task prints is shown, as it would be without us.
    try:
        text = state.place.read(layout.log_key(pack))
    except KeyError:
        return
    sys.stdout.write(text.decode(errors="replace"))
    sys.stdout.flush()


def _outline(request: Request, *, site: Site, number: int = 1, first_pack: int = 0) -> Outline:
    composition, options = request.composition, request.options
    whole("hydra.launcher.max_attempts", options.get("max_attempts"), least=1)
    whole("hydra.launcher.max_failed", options.get("max_failed"), least=0)
    return outline(
        composition.bases,
        composition.trials,
        application=request.application,
        site=site,
        pack_size=_pack_size(options),
        number=number,
        first_pack=first_pack,
    )


def _pack_size(options: Mapping[str, Value]) -> int | None:
    size = dict(options.get("pack") or {}).get("size")
    recycle = options.get("recycle") or None
    whole("hydra.launcher.pack.size", size, least=1)
    whole("hydra.launcher.recycle", recycle, least=1)
    return min((n for n in (size, recycle) if n), default=None)


def _study(request: Request, *, facts: Mapping[str, Value], site: Site) -> Study:
    options, application = request.options, request.application
    first = request.composition.trials[0]
    config: Flat = {
        **flatten(request.composition.bases[first.base].config),
        **first.values,
    }
    objective, test = application.scores(config) if application else ("objective", "")
    wanted = application.tracking(unflatten(config)) if application else {}
    tracking: dict[str, Value] = {}
    if (
        application or request.env.get("MLFLOW_TRACKING_URI") or site.tracking
    ):  # no file unasked by strangers
        tracking = choose_tracking(
            wanted,
            job=request.job,
            trials=len(request.composition.trials),
            env={**site.tracking_env, **request.env},
            cwd=request.cwd,
        )
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(request.now))
    name = options.get("study")
    return Study(
        name=check_study_name(name)
        if name
        else study_name(request.job, stamp=stamp, tail=request.tail),
        created=request.now,
        task=request.task,
        job=request.job,
        directory=str(request.cwd),
        direction=application.direction if application else request.direction or "minimize",
        objective=objective,
        test=test,
        seed=application.seed_key if application else "seed",
        overrides=request.overrides,
        grid=grid(request.composition.trials),
        limits={
            "max_attempts": options.get("max_attempts"),
            "max_failed": options.get("max_failed"),
            "pack_size": _pack_size(options),
        },
        tracking=tracking,
        facts={
            **facts,
            **surroundings(request.cwd),
            "loader": application.loader if application else "",
            "ranked": application is not None or request.direction is not None,
        },
    )
