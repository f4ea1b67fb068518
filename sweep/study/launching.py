"""Launch a multirun as a study, and resume one that was cut short."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

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
from sweep.plan.trial import Record, State, Trial, Value
from sweep.schema import flatten, unflatten
from sweep.store import open_store
from sweep.study.conducting import Studied, conduct, studied, who
from sweep.study.finishing import finish, give_up
from sweep.study.opening import add_round, open_study, surroundings
from sweep.study.outline import Outline, grid, outline
from sweep.study.reading import find_study, read_rounds, read_study
from sweep.study.showing import choose_tracking
from sweep.study.telling import announce, describe

CLUSTERS = ("auto", "local", "kubernetes")
RETRIED = frozenset({State.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A multirun as Hydra hands it over, with all that is read from outside."""

    task: str
    application: Application
    job: str
    composition: Composition
    overrides: tuple[str, ...]
    options: Mapping[str, Value]  # of hydra.launcher
    env: Mapping[str, str]
    cwd: Path
    now: float
    tail: str  # four hex digits


def show_plan(request: Request, *, console: Console) -> None:
    """Print what a launch would do; nothing is written."""
    workers = _workers(request.options)
    plan = _outline(request, workers=workers)
    describe(plan, request.composition, workers=workers, where=_where(request), console=console)


def launch(request: Request, *, console: Console) -> Mapping[int, Record]:
    """Run a multirun as a new study; return the terminal records, twins included.

    Raises BadInput before anything is written, Unreachable, Interrupted.
    """
    where = _where(request)
    store = open_store(store_address(request.options.get("store"), env=request.env))
    workers = _workers(request.options)
    plan = _outline(request, workers=workers)
    study = _study(request, facts={"data": dict(plan.data)})
    announce(study, plan, store=store, workers=workers, where=where, console=console)
    place = open_study(store, study)
    with place.hold(layout.LEASE, who()):
        add_round(place, plan.round)
        state = studied(place, study, [plan.round])
        return _run(state, plan, request.application, workers=workers, console=console)


def resume(
    name: str,
    *,
    address: str,
    application: Application,
    console: Console,
    parallelism: int | None = None,
) -> int:
    """Train what a study has no terminal record of; numbers are as if it had not stopped.

    Returns 1 where more trials failed than the study allows, else 0. Raises UnknownName for a
    study that is not there, CorruptPlan, Busy.
    """
    store = open_store(address)
    place = find_study(store, name)
    study = read_study(place)
    with place.hold(layout.LEASE, who()):
        rounds = read_rounds(place)
        state = studied(place, study, rounds)
        missing = _missing(state)
        workers = parallelism or usable_cpus()
        if state.reader.ledger.corrupt or state.reader.torn():
            _tell_damage(state, console)
        place.delete(layout.STOP)
        if not missing:
            console.print(f"study {name}: every trial has a record; nothing to train")
            finish(state, application=application, problems={}, console=console)
            return _exit_code(state)
        plan = _next_round(state, rounds, missing, application, workers=workers)
        announce(study, plan, store=store, workers=workers, where="resumed here", console=console)
        add_round(place, plan.round)
        _run(state, plan, application, workers=workers, console=console)
        return _exit_code(state)


def store_address(given: Value, *, env: Mapping[str, str]) -> str:
    """Choose the store: the one given, SWEEP_STORE, or ./sweep-store."""
    return str(given or env.get("SWEEP_STORE") or "sweep-store")


def _run(
    state: Studied, plan: Outline, application: Application, *, workers: int, console: Console
) -> Mapping[int, Record]:
    cluster = LocalCluster(workers=workers)
    try:
        done = conduct(state, plan, cluster=cluster, workers=workers, console=console)
    except Interrupted:
        state.reader.look()
        give_up(state)
        raise
    finish(state, application=application, problems=done.problems, console=console)
    twins = ((trial.number, trial.same_as) for trial in state.trials)
    return resolve_twins(state.records, twins)


def _trained(state: Studied) -> list[Trial]:
    return [trial for trial in state.trials if trial.same_as is None]


def _exit_code(state: Studied) -> int:
    allowed = state.study.limits.get("max_failed") or 0
    lost = sum(trial.number not in state.records for trial in _trained(state))
    return int(lost > 0 or state.reader.ledger.count(State.FAILED) > allowed)


def _outline(request: Request, *, workers: int) -> Outline:
    composition, application = request.composition, request.application
    size = dict(request.options.get("pack") or {}).get("size")
    _whole("hydra.launcher.pack.size", size, least=1)
    _whole("hydra.launcher.max_attempts", request.options.get("max_attempts"), least=1)
    _whole("hydra.launcher.max_failed", request.options.get("max_failed"), least=0)
    return outline(
        composition.bases,
        composition.trials,
        application=application,
        workers=workers,
        pack_size=size,
    )


def _study(request: Request, *, facts: Mapping[str, Value]) -> Study:
    options, application = request.options, request.application
    first = request.composition.trials[0]
    config: Flat = {
        **flatten(request.composition.bases[first.base].config),
        **first.values,
    }
    objective, test = application.scores(config)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(request.now))
    name = options.get("study")
    tracking = choose_tracking(
        application.tracking(unflatten(config)), job=request.job, env=request.env, cwd=request.cwd
    )
    return Study(
        name=check_study_name(name)
        if name
        else study_name(request.job, stamp=stamp, tail=request.tail),
        created=request.now,
        task=request.task,
        job=request.job,
        directory=str(request.cwd),
        direction=application.direction,
        objective=objective,
        test=test,
        seed=application.seed_key,
        overrides=request.overrides,
        grid=grid(request.composition.trials),
        limits={key: options.get(key) for key in ("max_attempts", "max_failed")},
        tracking=tracking,
        facts={**facts, **surroundings(request.cwd)},
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
    if value is not None and value < least:
        raise BadInput(f"{key}={value}: must be at least {least}")


def _missing(state: Studied) -> list[Trial]:
    records = state.records
    return [
        trial
        for trial in _trained(state)
        if trial.number not in records or records[trial.number].state in RETRIED
    ]


def _next_round(
    state: Studied,
    rounds: Sequence[Round],
    missing: Sequence[Trial],
    application: Application,
    *,
    workers: int,
) -> Outline:
    # The new round holds its own bases, so that it can be read alone.
    used = sorted({trial.base for trial in missing})
    place = {base: i for i, base in enumerate(used)}
    return outline(
        [state.bases[base] for base in used],
        [replace(trial, base=place[trial.base]) for trial in missing],
        application=application,
        workers=workers,
        number=len(rounds) + 1,
        first_pack=1 + max((p.number for round_ in rounds for p in round_.packs), default=-1),
    )


def _tell_damage(state: Studied, console: Console) -> None:
    ledger = state.reader.ledger
    for where in ledger.corrupt:
        console.print(f"corrupt record, left out: {where}", soft_wrap=True)
    torn = state.reader.torn()
    if torn:
        console.print(f"{torn} records files end in the middle of a line, as a kill leaves them")
