"""Launch a multirun as a study, batch by batch, or show what a launch would do."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from sweep.cluster.cpus import usable_cpus
from sweep.cluster.local import LocalCluster
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
from sweep.study.conducting import Studied, conduct, how_to_go_on, studied, who
from sweep.study.finishing import finish, give_up
from sweep.study.opening import add_round, open_study, surroundings
from sweep.study.outline import Outline, grid, outline
from sweep.study.showing import choose_tracking
from sweep.study.telling import announce, describe

CLUSTERS = ("auto", "local", "kubernetes")


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
    cluster: LocalCluster
    workers: int
    rounds: list[Round] = field(default_factory=list)


def show_plan(request: Request, *, console: Console) -> None:
    """Print what a launch would do; nothing is written."""
    workers = _workers(request.options)
    plan = _outline(request, workers=workers)
    describe(plan, request.composition, workers=workers, where=_where(request), console=console)


def open_session(request: Request, *, console: Console) -> Session:
    """Check a multirun, announce it, and write its study.

    Raises BadInput before anything is written.
    """
    where = _where(request)
    store = open_store(store_address(request.options.get("store"), env=request.env))
    workers = _workers(request.options)
    plan = _outline(request, workers=workers)
    study = _study(request, facts={"data": dict(plan.data)})
    announce(study, plan, store=store, workers=workers, where=where, console=console)
    place = open_study(store, study)
    return Session(store, place, study, LocalCluster(workers=workers), workers)


def launch(session: Session, request: Request, *, console: Console) -> Mapping[int, Record]:
    """Run one batch as the next round; return the terminal records, twins included.

    Raises BadInput, Unreachable, Interrupted.
    """
    with session.place.hold(layout.LEASE, who()):
        packs = [pack.number for round_ in session.rounds for pack in round_.packs]
        plan = _outline(
            request,
            workers=session.workers,
            number=len(session.rounds) + 1,
            first_pack=1 + max(packs, default=-1),
        )
        plan = replace(plan, round=replace(plan.round, hydra=request.hydra))
        add_round(session.place, plan.round)
        session.rounds.append(plan.round)
        state = studied(session.place, session.study, session.rounds)
        return run_round(
            state,
            plan,
            request.application,
            cluster=session.cluster,
            workers=session.workers,
            console=console,
        )


def run_round(
    state: Studied,
    plan: Outline,
    application: Application | None,
    *,
    cluster: LocalCluster,
    workers: int,
    console: Console,
) -> Mapping[int, Record]:
    """Conduct a round, and finish the study as far as it goes; records include twins."""
    try:
        done = conduct(
            state,
            plan,
            cluster=cluster,
            workers=workers,
            console=console,
            echo=None if application else lambda pack: _echo(state, pack),
        )
    except Interrupted:
        state.reader.look()
        give_up(state)
        raise
    try:
        finish(state, application=application, problems=done.problems, console=console)
    except KeyboardInterrupt:
        raise Interrupted(how_to_go_on(state)) from None
    twins = ((trial.number, trial.same_as) for trial in state.trials)
    return resolve_twins(state.records, twins)


def store_address(given: Value, *, env: Mapping[str, str]) -> str:
    """Choose the store: the one given, SWEEP_STORE, or ./sweep-store."""
    return str(given or env.get("SWEEP_STORE") or "sweep-store")


def _echo(state: Studied, pack: int) -> None:
    # What a stranger's task prints is shown, as it would be without us.
    try:
        text = state.place.read(layout.log_key(pack))
    except KeyError:
        return
    sys.stdout.write(text.decode(errors="replace"))
    sys.stdout.flush()


def _outline(request: Request, *, workers: int, number: int = 1, first_pack: int = 0) -> Outline:
    composition, options = request.composition, request.options
    _whole("hydra.launcher.max_attempts", options.get("max_attempts"), least=1)
    _whole("hydra.launcher.max_failed", options.get("max_failed"), least=0)
    return outline(
        composition.bases,
        composition.trials,
        application=request.application,
        workers=workers,
        pack_size=_pack_size(options),
        number=number,
        first_pack=first_pack,
    )


def _pack_size(options: Mapping[str, Value]) -> int | None:
    size = dict(options.get("pack") or {}).get("size")
    recycle = options.get("recycle") or None
    _whole("hydra.launcher.pack.size", size, least=1)
    _whole("hydra.launcher.recycle", recycle, least=1)
    return min((n for n in (size, recycle) if n), default=None)


def _study(request: Request, *, facts: Mapping[str, Value]) -> Study:
    options, application = request.options, request.application
    first = request.composition.trials[0]
    config: Flat = {
        **flatten(request.composition.bases[first.base].config),
        **first.values,
    }
    objective, test = application.scores(config) if application else ("objective", "")
    wanted = application.tracking(unflatten(config)) if application else {}
    tracking: dict[str, Value] = {}
    if application or request.env.get("MLFLOW_TRACKING_URI"):  # no file unasked by strangers
        tracking = choose_tracking(
            wanted,
            job=request.job,
            trials=len(request.composition.trials),
            env=request.env,
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


def _where(request: Request) -> str:
    cluster = request.options.get("cluster")
    if cluster not in CLUSTERS:
        raise BadInput(
            f"hydra.launcher.cluster={cluster}: no such choice; there are {', '.join(CLUSTERS)}"
        )
    if cluster == "kubernetes":
        raise BadInput(
            "hydra.launcher.cluster=kubernetes: this version runs on this machine only; "
            "leave it out, or write local"
        )
    return "here (hydra.launcher.cluster=local)" if cluster == "local" else "here (cluster=auto)"


def _workers(options: Mapping[str, Value]) -> int:
    parallelism = options.get("parallelism")
    _whole("hydra.launcher.parallelism", parallelism, least=1)
    return parallelism or usable_cpus()


def _whole(key: str, value: Value, *, least: int) -> None:
    if value is not None and (not isinstance(value, int) or value < least):
        raise BadInput(f"{key}={value}: must be a whole number of at least {least}")
