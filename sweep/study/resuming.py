"""Go on with a study that was cut short."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from rich.console import Console

from sweep.errors import BadInput
from sweep.plan import layout
from sweep.plan.application import Application
from sweep.plan.budget import Budget
from sweep.plan.round import Round, Study
from sweep.plan.rungs import never_began
from sweep.plan.story import Search
from sweep.plan.trial import State, Trial, Value
from sweep.store import Store, open_store
from sweep.study.asking import runs
from sweep.study.fetching import Files, cache_folder, reading
from sweep.study.following import GRACE_S
from sweep.study.holding import held
from sweep.study.launching import Session, Way, confirm_and_finish, run_rounds
from sweep.study.offering import close
from sweep.study.opening import add_round, surroundings
from sweep.study.outline import Outline
from sweep.study.pursuing import Pursuit, until
from sweep.study.reading import find_study, read_rounds, read_study
from sweep.study.rounds import costs_of, files_of, next_round
from sweep.study.searching import keep_story, quest_of, read_search, read_story
from sweep.study.siting import KUBERNETES, Site, local_site, open_cluster
from sweep.study.studied import Studied, grown, studied
from sweep.study.telling import announce

ALWAYS = frozenset({State.CANCELLED})


def resume(
    name: str,
    *,
    address: str,
    application: Application | None,
    console: Console,
    site: Site | None = None,
    rerun: frozenset[State] = frozenset(),
    budget: Budget | None = None,
    limits: Mapping[str, Value] = MappingProxyType({}),
) -> int:
    """Train what a study has no terminal record of; numbers are as if it had not stopped.

    A search then goes on with the trials that it would have tried next; `limits`, max_trials and
    max_time_s, replace its own from then on.

    A round that still runs on a cluster is followed to its end first. Trials in a state of `rerun`
    are trained again, and their new records replace the old; `budget` replaces that of the study.
    Returns 1 where more trials failed than the study allows, else 0. Raises UnknownName for a study
    that is not there, CorruptPlan, Busy.
    """
    store = open_store(address)
    place = find_study(store, name)
    study = read_study(place)
    site = site or local_site(None, why="resumed")
    with held(place, console=console):
        rounds = read_rounds(place)
        files = Files(cache_folder(os.environ), store, files_of(study, rounds))
        application = application and reading(application, files)
        state = studied(place, study, rounds)
        search = read_search(place)
        _keep_limits(state, search, limits)
        _tell_damage(state, console)
        if _still_runs(study, rounds[-1], site, console):
            adopt_round(
                state, rounds, application, site=site, console=console, budget=budget,
                last=search is None,
            )  # fmt: skip
            state = grown(state, rounds)
        place.delete(layout.STOP)
        missing = _missing(state, ALWAYS | rerun, late="max_time_s" in limits)
        if not missing and search is None:
            if study.confirm is None or state.selection is not None:
                console.print(f"study {name}: every trial has a record; nothing to train")
            cluster = open_cluster(site)
            way = Way(application, cluster, site, console, budget)
            try:
                confirm_and_finish(state, rounds, way, problems={})
            finally:
                if not cluster.lasting:
                    cluster.stop(GRACE_S)
            return exit_code(state)
        for trial in missing:
            place.delete(layout.failure_key(trial.number))
        failed, most = len(place.sizes(layout.FAILURES)), study.limits.get("max_failed")
        if most is not None and failed > most:
            console.print(
                f"study {name}: {failed} trials failed, more than max_failed={most}, so nothing "
                f"more is trained; `python -m sweep resume {name} --rerun failed` tries them again",
                soft_wrap=True,
            )
            return 1
        _tell_differences(study, console)
        cluster = open_cluster(site)
        way = Way(application, cluster, site, console, budget)
        try:
            if missing:
                late = _until(place, search, limits)
                _train(state, rounds, missing, way, store=store, last=search is None, until=late)
            if search is not None:
                session = Session(store, place, study, cluster, site, files, None, rounds)
                state = _search(grown(state, rounds), session, search, way)
        finally:
            if not cluster.lasting:
                cluster.stop(GRACE_S)
        return exit_code(state)


def _train(
    state: Studied,
    rounds: list[Round],
    missing: Sequence[Trial],
    way: Way,
    *,
    store: Store,
    last: bool,
    until: float | None,
) -> None:
    site, console = way.site, way.console
    plan = next_round(
        state, rounds, missing, way.application, site=site, budget=way.budget, until=until
    )
    announce(state.study, plan, store=store, site=site, how="resumed, ", console=console)
    add_round(state.place, plan.round)
    rounds.append(plan.round)
    state.reader.fences = {**state.reader.fences, **plan.round.fences}
    run_rounds(
        state,
        plan,
        rounds,
        application=way.application,
        cluster=way.cluster,
        site=site,
        console=console,
        last=last,
    )


def _search(state: Studied, session: Session, search: Search, way: Way) -> Studied:
    if state.selection is None:  # else the search is over, and fresh seeds decide
        Pursuit(session, search, way.application, way.console, way.budget).go_on(state)
        state = studied(session.place, session.study, session.rounds)
    confirm_and_finish(state, session.rounds, way, problems={})
    return state


def _keep_limits(state: Studied, search: Search | None, limits: Mapping[str, Value]) -> None:
    """Keep new limits of a search with its story, so that later clients go by them too.

    Raises BadInput where no search can go on, and for what is no limit.
    """
    name = state.study.name
    if not limits:
        return
    if search is None:
        raise BadInput(
            f"study {name} is a grid, and every trial of it is planned: leave out --max-trials and "
            "--max-time; they are limits of hydra/sweeper=guide"
        )
    if state.selection is not None:
        raise BadInput(
            f"the search of study {name} is over, and fresh seeds confirm its best: begin another "
            f"with hydra.sweeper.first={name}"
        )
    story = read_story(state.place)
    story = replace(story, limits={**story.limits, **limits})
    quest_of(search, limits=story.limits)  # refuses what is no limit
    keep_story(state.place, story)


def _until(place: Store, search: Search | None, limits: Mapping[str, Value]) -> float | None:
    """Say until when trials of a search by halving may begin, where that is set anew."""
    if search is None or not limits:
        return None
    story = read_story(place)
    return until(quest_of(search, limits=story.limits), story)


def adopt_round(
    state: Studied,
    rounds: list[Round],
    application: Application | None,
    *,
    site: Site,
    console: Console,
    budget: Budget | None = None,
    last: bool = True,
) -> None:
    """Conduct the newest round, which runs already, to its end; nothing more is offered to it."""
    close(state.place, rounds[-1])
    run_rounds(
        state,
        Outline(rounds[-1], costs_of(rounds[-1], application), {}),
        rounds,
        application=application,
        cluster=open_cluster(site),
        site=site,
        console=console,
        adopt=True,
        budget=budget,
        last=last,
    )


def exit_code(state: Studied) -> int:
    """Judge a study: 1 where a trial has no record or too many failed."""
    allowed = state.study.limits.get("max_failed") or 0
    lost = sum(trial.number not in state.records for trial in _trained(state))
    return int(lost > 0 or state.reader.ledger.count(State.FAILED) > allowed)


def _still_runs(study: Study, round_: Round, site: Site, console: Console) -> bool:
    found = runs(study.name, round_, context=site.context)
    if found is None:
        console.print(
            f"whether pods of round {round_.number} still run cannot be asked; what they write "
            "from now on does not count",
            soft_wrap=True,
        )
    if found and site.kind != KUBERNETES:
        raise BadInput(
            f"round {round_.number} of study {study.name} still runs on its cluster; end it by "
            f"`python -m sweep cancel {study.name}`, or leave out --cluster"
        )
    return bool(found)


def _trained(state: Studied) -> list[Trial]:
    return [trial for trial in state.trials if trial.same_as is None]


def _missing(state: Studied, again: frozenset[State], *, late: bool = False) -> list[Trial]:
    """List what is to be trained; with `late` also what time did not suffice for."""
    records = state.records
    return [
        trial
        for trial in _trained(state)
        if trial.number not in records
        or (
            records[trial.number].state in again
            and (late or not never_began(records[trial.number]))
        )
    ]


def _tell_differences(study: Study, console: Console) -> None:
    # Bits repeat on one kind of machine and build alone; each record notes its own.
    before, now = dict(study.facts), surroundings(Path(study.directory or "."))
    pairs = [("machine", before.get("machine"), now["machine"])]
    old, new = before.get("versions", {}), now["versions"]
    pairs += [(name, old.get(name), new.get(name)) for name in sorted({*old, *new})]
    changed = [f"{name} {was} -> {is_}" for name, was, is_ in pairs if was != is_]
    if changed:
        console.print(
            f"not the surroundings of the study's start: {', '.join(changed)}; it goes on, and "
            "what is trained now may differ in the last digits",
            soft_wrap=True,
        )


def _tell_damage(state: Studied, console: Console) -> None:
    for where in state.reader.ledger.corrupt:
        console.print(f"corrupt record, left out: {where}", soft_wrap=True)
    torn = state.reader.torn()
    if torn:
        console.print(f"{torn} records files end in the middle of a line, as a kill leaves them")
