"""Launch a multirun as a study, batch by batch, or show what a launch would do."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial

from rich.console import Console

from sweep import interrupt
from sweep.cluster import Cluster, Warm
from sweep.cluster.parent import end_ahead
from sweep.errors import BadInput, Interrupted
from sweep.plan import layout
from sweep.plan.application import Application
from sweep.plan.budget import Budget
from sweep.plan.records import resolve_twins
from sweep.plan.round import Round, Study
from sweep.plan.selection import read_confirm
from sweep.plan.trial import Record, Trial, Value
from sweep.store import Store, open_store
from sweep.study.conducting import Conducted, conduct, work_of
from sweep.study.confirming import confirming_round
from sweep.study.fetching import Files, cache_folder, reading
from sweep.study.finishing import finish, give_up
from sweep.study.going_on import how_to_go_on, who
from sweep.study.offering import Offerer
from sweep.study.opening import add_round, open_study
from sweep.study.outline import Outline
from sweep.study.publishing import get_ready_to_keep
from sweep.study.rendering import check_settings, render
from sweep.study.requesting import (
    Request,
    outline_of,
    pack_more,
    pack_up_for,
    reading_shipped,
    refuse_secrets,
    reuse_contents,
    reuse_context,
    study_of,
)
from sweep.study.reusing import find_taken, note_contents, take_over
from sweep.study.rounds import files_of, next_round
from sweep.study.shipping import Shipment, is_far, send
from sweep.study.siting import (
    Site,
    check_job,
    choose_site,
    open_cluster,
    prepare,
)
from sweep.study.spending import BUDGET
from sweep.study.stopping import asked_to_stop
from sweep.study.studied import Studied, grown, studied
from sweep.study.telling import (
    announce,
    announce_confirming,
    describe,
    print_job,
    tell_unconfirmed,
    trials,
)


@dataclass(slots=True)
class Session:
    """A study that is launched in batches, each a round, on one cluster."""

    store: Store
    place: Store
    study: Study
    cluster: Cluster
    site: Site
    files: Files
    context: str | None  # of re-use; None: nothing is taken over
    rounds: list[Round] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Way:
    """With what, and where, the rounds of a study run."""

    application: Application | None
    cluster: Cluster
    site: Site
    console: Console
    budget: Budget | None = None


def show_plan(request: Request, *, console: Console) -> None:
    """Print what a launch would do; nothing is written.

    On a cluster that is its Job too; `hydra.launcher.check` asks the server whether it would take
    it. Raises BadInput, Unreachable.
    """
    site = choose_site(request.options, env=request.env)
    plan = outline_of(request, site=site)
    if site.settings is not None:
        prepare(site)
        store = store_address(request.options.get("store"), env=request.env, site=site)
        _check_seen(store)
        study = study_of(request, facts={}, site=site)
        work = work_of(study, plan.round, store=store)
        print_job(render(site.settings, work), console=console)
        if request.options.get("check"):
            check_job(site, work)
            console.print(f"check    {site.where} would take it")
    describe(
        plan,
        request.composition,
        site=site,
        console=console,
        confirm=read_confirm(request.confirm),
    )


def open_session(request: Request, *, console: Console) -> Session:
    """Check a multirun, announce it, and write its study.

    Raises BadInput before anything is written, Unreachable.
    """
    interrupt.check()
    site = choose_site(request.options, env=request.env)
    if request.options.get("detach") and site.settings is None:
        raise BadInput(
            "hydra.launcher.detach=true: trials on this machine end with their client; leave it "
            "out, or name a cluster"
        )
    prepare(site)
    cluster = open_cluster(site)
    try:
        if isinstance(cluster, Warm) and _importable(request):
            cluster.expect(request.task)
        else:
            end_ahead()
        return _open(request, site, cluster, console=console)
    except BaseException:
        if isinstance(cluster, Warm):
            cluster.stop(grace_s=0.0)
        raise


def _importable(request: Request) -> bool:
    """Tell whether workers may import the task ahead of the plan: by name, from here."""
    here = request.options.get("code") != "bundle" and not request.hydra.get("main")
    return here and request.application is not None and ".py:" not in request.task


def _open(request: Request, site: Site, cluster: Cluster, *, console: Console) -> Session:
    store = open_store(store_address(request.options.get("store"), env=request.env, site=site))
    if site.settings is not None:
        _check_seen(store.url)
    if site.settings is not None or is_far(store):
        refuse_secrets(request)
    files = Files(cache_folder(request.env), store)
    request = reading_shipped(request, files)
    plan = outline_of(request, site=site)
    if site.settings is not None:
        check_settings(site.settings, packs=len(plan.round.packs))
    shipment = pack_up_for(request, store=store, files=files)
    facts = {"data": dict(plan.data), **shipment.facts}
    study = study_of(request, facts=facts, site=site)
    # A result of another study has no rungs to be compared at, and open slots take what is new.
    reuse = request.options.get("reuse") and request.halving is None and request.slots is None
    context = reuse_context(request, study, site) if reuse else None
    announce(study, plan, store=store, site=site, console=console)
    send(shipment, store=store, console=console)
    place = open_study(store, study)
    return Session(store, place, study, cluster, site, files, context)


def launch(
    session: Session, request: Request, *, console: Console, last: bool
) -> Mapping[int, Record]:
    """Run one batch as the next round; return the terminal records, twins included.

    The study is finished with its `last` batch; where nobody knows which that is, it is left to
    `finish_session`.

    Raises BadInput, Unreachable, Interrupted.
    """
    with session.place.hold(layout.LEASE, who()):
        return launch_next(session, request, console=console, last=last)


def launch_next(
    session: Session,
    request: Request,
    *,
    console: Console,
    last: bool,
    budget: Budget | None = None,
) -> Mapping[int, Record]:
    """Run one batch as `launch` does; the caller holds the study's lease."""
    request = reading_shipped(request, session.files)
    packs = [pack.number for round_ in session.rounds for pack in round_.packs]
    number, name = len(session.rounds) + 1, session.study.name
    more = _more(session, request) if session.rounds else Shipment()
    contents = reuse_contents(request) if session.context else {}
    taken = find_taken(
        session.store,
        context=session.context,
        contents=contents,
        study=name,
        round_number=number,
        data=session.study.facts["data"],
    )
    plan = outline_of(
        request,
        site=session.site,
        number=number,
        first_pack=1 + max(packs, default=-1),
        known=taken.keys(),
    )
    if taken:
        console.print(f"reuse    {trials(plan)}", highlight=False)
    send(more, store=session.store, console=console)
    round_ = replace(
        plan.round,
        hydra=request.hydra,
        cluster=session.site.note | ({BUDGET: asdict(budget)} if budget else {}),
        files=more.facts.get("files", {}),
    )
    plan = replace(plan, round=round_)
    add_round(session.place, plan.round)
    session.rounds.append(plan.round)
    note_contents(
        session.store,
        context=session.context,
        contents=contents,
        study=name,
        round_number=number,
    )
    take_over(session.store, study=name, round_=plan.round, taken=list(taken.values()))
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
        budget=budget,
        last=last,
    )


def _more(session: Session, request: Request) -> Shipment:
    # A later batch may name data that no earlier one did.
    if session.site.settings is not None or is_far(session.store):
        refuse_secrets(request)
    known = files_of(session.study, session.rounds)
    return pack_more(request, store=session.store, files=session.files, known=known)


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
    budget: Budget | None = None,
    last: bool = True,
) -> Mapping[int, Record]:
    """Conduct a round, and one more for packs that were lost with their nodes.

    The study is finished after its `last` batch, as far as it goes: the test part is scored once.
    Records include twins. Rounds that are added stand in `rounds` too.
    """
    way = Way(application, cluster, site, console, budget)
    problems = follow_round(state, plan, rounds, way, detach=detach, adopt=adopt)
    if last:
        confirm_and_finish(state, rounds, way, problems=problems)
    twins = ((trial.number, trial.same_as) for trial in state.trials)
    return resolve_twins(state.records, twins)


def confirm_and_finish(
    state: Studied, rounds: list[Round], way: Way, *, problems: Mapping[int, str]
) -> None:
    """Train the best again with fresh seeds where that is asked for, and finish the study.

    Raises BadInput, Unreachable, Interrupted.
    """
    plan = confirming_round(state, rounds, way.application, site=way.site, budget=way.budget)
    if plan is not None:
        add_round(state.place, plan.round)
        rounds.append(plan.round)
        state = grown(state, rounds)
        announce_confirming(state, plan, console=way.console)
        problems = {**problems, **follow_round(state, plan, rounds, way)}
    elif state.study.confirm is not None and state.selection is None:
        tell_unconfirmed(state, console=way.console)
    _finish(state, way.application, way.cluster, problems=problems, console=way.console)


def follow_round(
    state: Studied,
    plan: Outline,
    rounds: list[Round],
    way: Way,
    *,
    detach: bool = False,
    adopt: bool = False,
    offerer: Offerer | None = None,
) -> Mapping[int, str]:
    """Conduct a round, and one more for packs that were lost; tell which packs were given up.

    Raises BadInput, Unreachable, Interrupted.
    """
    cluster, site = way.cluster, way.site
    follow = partial(
        conduct,
        state,
        budget=way.budget,
        cluster=cluster,
        workers=site.workers * site.lanes,
        console=way.console,
        echo=None if way.application or cluster.lasting else lambda pack: _echo(state, pack),
    )
    try:
        done = follow(plan, detach=detach, adopt=adopt, offerer=offerer)
        state = done.studied
        while missing := _lost_trials(state, done, rounds[-1]):
            plan = next_round(state, rounds, missing, way.application, site=site, budget=way.budget)
            add_round(state.place, plan.round)
            rounds.append(plan.round)
            state.reader.fences = {**state.reader.fences, **plan.round.fences}
            done = follow(plan)
    except Interrupted:
        if not cluster.lasting or asked_to_stop(state.place) is not None:
            state.reader.look()
            give_up(state)
        raise
    return done.problems


def finish_session(session: Session, *, application: Application | None, console: Console) -> None:
    """Sum up a study whose batches are all done.

    Raises BadInput, Unreachable, Interrupted.
    """
    application = application and reading(application, session.files)
    with session.place.hold(layout.LEASE, who()):
        state = studied(session.place, session.study, session.rounds)
        way = Way(application, session.cluster, session.site, console)
        confirm_and_finish(state, session.rounds, way, problems={})


def _finish(
    state: Studied,
    application: Application | None,
    cluster: Cluster,
    *,
    problems: Mapping[int, str],
    console: Console,
) -> None:
    try:
        finish(
            state,
            application=application,
            problems=problems,
            console=console,
            elsewhere=partial(cluster.crown, meanwhile=partial(get_ready_to_keep, state))
            if isinstance(cluster, Warm)
            else None,
        )
    except KeyboardInterrupt:
        raise Interrupted(how_to_go_on(state)) from None


def _check_seen(store: str) -> None:
    if "://" not in store or store.startswith("file://"):
        raise BadInput(
            f"store {store} is a folder of this machine, which no pod sees; "
            "name one by hydra.launcher.store=s3://BUCKET/PREFIX"
        )


def store_address(given: Value, *, env: Mapping[str, str], site: Site | None = None) -> str:
    """Choose the store: the one given, SWEEP_STORE, the release's, or ./sweep-store."""
    release = site.store if site else None
    return str(given or env.get("SWEEP_STORE") or release or "sweep-store")


def _lost_trials(state: Studied, done: Conducted, round_: Round) -> list[Trial]:
    # What a worker wrote before, or after, its node went silent counts.
    if round_.open and done.lost:  # nobody else can have what its slot had claimed
        own = {trial.number for trial in round_.trials if trial.same_as is None}
        return [t for t in state.trials if t.number in own and t.number not in state.records]
    lost = {n for pack in round_.packs if pack.number in done.lost for n in pack.trials}
    return [t for t in state.trials if t.number in lost and t.number not in state.records]


def _echo(state: Studied, pack: int) -> None:
    # What a stranger's task prints is shown, as it would be without us.
    try:
        text = state.place.read(layout.log_key(pack))
    except KeyError:
        return
    sys.stdout.write(text.decode(errors="replace"))
    sys.stdout.flush()
