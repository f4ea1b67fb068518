"""Read a multirun as Hydra hands it over."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sweep.cluster.gpus import gpu_model
from sweep.compose import Composition
from sweep.errors import BadInput
from sweep.plan.application import Application
from sweep.plan.budget import read_budget
from sweep.plan.facets import Flat
from sweep.plan.reuse import contents_of, context_of
from sweep.plan.round import Study, check_study_name, study_name
from sweep.plan.selection import read_confirm
from sweep.plan.trial import Value
from sweep.schema import flatten, unflatten
from sweep.store import Store
from sweep.study.fetching import Files, reading
from sweep.study.halving import Halving, with_rungs
from sweep.study.offering import with_offers
from sweep.study.opening import surroundings
from sweep.study.outline import Outline, grid, outline
from sweep.study.refusing import refuse_credentials, whole
from sweep.study.shipping import Shipment, data_files, pack_up
from sweep.study.showing import choose_tracking
from sweep.study.siting import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A multirun as Hydra hands it over, with all that is read from outside."""

    task: str
    application: Application | None
    job: str
    composition: Composition
    overrides: tuple[str, ...]
    choosing: tuple[str, ...] = ()  # of the words for Hydra: what decides what is tried
    config_dirs: tuple[str, ...] = ()  # that were named by --config-dir
    options: Mapping[str, Value]  # of hydra.launcher
    env: Mapping[str, str]
    cwd: Path
    now: float
    tail: str  # four hex digits
    direction: str | None = None  # that the sweeper names; None: trials are not ranked
    hydra: Mapping[str, Any] = field(default_factory=dict)  # what workers compose from
    confirm: str | None = None  # KxN: the best K again with N fresh seeds
    halving: Halving | None = None  # workers choose by rungs what to train
    slots: int | None = None  # that stay open for trials which are offered later
    sources: Mapping[str, Any] = field(default_factory=dict)  # what a later client composes from


def flats_of(request: Request) -> list[Flat]:
    """Flatten the bases of a request."""
    return [flatten(base.config) for base in request.composition.bases]


def reading_shipped(request: Request, files: Files) -> Request:
    """Let the application read files where they were brought."""
    application = request.application and reading(request.application, files)
    return replace(request, application=application)


def refuse_secrets(request: Request) -> None:
    """Refuse a request that would write credentials where others read them.

    Raises BadInput.
    """
    refuse_credentials(
        flats=flats_of(request),
        trials=request.composition.trials,
        env=dict(request.options.get("env") or {}),
        overrides=(*request.overrides, *request.choosing),
        hydra=request.hydra or request.sources,
    )


def pack_up_for(request: Request, *, store: Store, files: Files) -> Shipment:
    """Gather what has to reach the workers of a request; nothing is sent.

    Raises BadInput.
    """
    return pack_up(
        task=request.task,
        root=request.cwd,
        code=request.options.get("code"),
        store=store,
        application=request.application,
        files=files,
        flats=flats_of(request),
        trials=request.composition.trials,
    )


def pack_more(request: Request, *, store: Store, files: Files, known: Collection[str]) -> Shipment:
    """Gather the files of data that a later batch names first; `known` paths are left out.

    Raises BadInput.
    """
    found = data_files(
        store=store,
        application=request.application,
        files=files,
        flats=flats_of(request),
        trials=request.composition.trials,
        known=known,
    )
    return Shipment(files=found)


def reuse_context(request: Request, study: Study, site: Site) -> str | None:
    """Say what has to agree with another study before its results can be taken over.

    None where that is not known.
    """
    # What is not known of its data may have changed unseen: only applications that tell it.
    if request.application is None:
        return None
    pod = site.settings.pod if site.settings else None
    here: dict[str, Value] = {
        "machine": study.facts["machine"],
        "versions": study.facts["versions"],
    }
    if site.gpus:
        here["gpu"] = gpu_model()
    gpu = pod.resources.gpu_resource if pod and pod.resources.gpu else None
    return context_of(
        task=request.task,
        image=pod.image if pod else None,
        bundle=dict(study.facts.get("code") or {}).get("bundle"),
        surroundings={"gpu": gpu} if pod else here,
    )


def reuse_contents(request: Request) -> dict[int, str]:
    """Hash what each trial of a request is."""
    assert request.application is not None
    composition = request.composition
    return contents_of(flats_of(request), composition.trials, application=request.application)


def outline_of(
    request: Request,
    *,
    site: Site,
    number: int = 1,
    first_pack: int = 0,
    known: Collection[int] = (),
) -> Outline:
    """Check and pack the trials of a request; `known` need not be trained.

    Raises BadInput.
    """
    composition, options = request.composition, request.options
    whole("hydra.launcher.max_attempts", options.get("max_attempts"), least=1)
    whole("hydra.launcher.max_failed", options.get("max_failed"), least=0)
    plan = outline(
        composition.bases,
        composition.trials,
        application=request.application,
        site=site,
        pack_size=_pack_size(options),
        number=number,
        first_pack=first_pack,
        known=known,
    )
    if request.slots is not None:
        return with_offers(plan, slots=request.slots)
    if request.halving is None:
        return plan
    if request.application is None or not request.application.rests:
        raise BadInput(
            f"hydra.sweeper.strategy=halving: task {request.task} does not say that it can rest "
            "at an epoch's end; take another strategy"
        )
    return with_rungs(plan, request.halving, site=site)


def _inputs(application: Application | None, config: Flat) -> Mapping[str, Value]:
    """Describe what a study reads, where that is known before anything is resolved."""
    open_ = any(isinstance(value, str) and "${" in value for value in config.values())
    if application is None or application.profile is None or open_:
        return {}
    return application.profile(unflatten(config))


def check_confirm(request: Request) -> str | None:
    """Read what is to be confirmed.

    Raises BadInput, also for a task that names no seed.
    """
    confirm = read_confirm(request.confirm)
    if confirm is not None and request.application is None:
        raise BadInput(
            f"hydra.sweeper.confirm={confirm}: task {request.task} does not say which setting is "
            "its seed; leave it out, and give seeds as an axis"
        )
    return None if confirm is None else str(confirm)


def _pack_size(options: Mapping[str, Value]) -> int | None:
    size = dict(options.get("pack") or {}).get("size")
    recycle = options.get("recycle") or None
    whole("hydra.launcher.pack.size", size, least=1)
    whole("hydra.launcher.recycle", recycle, least=1)
    return min((n for n in (size, recycle) if n), default=None)


def study_of(request: Request, *, facts: Mapping[str, Value], site: Site) -> Study:
    """Describe the study that a request starts.

    Raises BadInput.
    """
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
            env={**site.tracking_env, **_set(request.env)},
            cwd=request.cwd,
        )
        if tracking:
            tracking["uri"] = site.known_to_pods(str(tracking["uri"]))
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
        choosing=request.choosing,
        config_dirs=request.config_dirs,
        grid=grid(request.composition.trials),
        limits={
            "max_attempts": options.get("max_attempts"),
            "max_failed": options.get("max_failed"),
            "pack_size": _pack_size(options),
            "budget": asdict(read_budget(dict(options.get("budget") or {}))),
        },
        tracking=tracking,
        facts={
            **facts,
            **surroundings(request.cwd),
            "inputs": _inputs(application, config),
            "loader": application.loader if application else "",
            "together_loader": application.together_loader if application else "",
            "ranked": application is not None or request.direction is not None,
            "notes": list(application.notes(config)) if application and application.notes else [],
        },
        confirm=check_confirm(request),
    )


def _set(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if value}
