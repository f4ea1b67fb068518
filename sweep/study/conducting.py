"""Follow a round of a study to its end, and tell a person how it goes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import NoReturn

from rich.console import Console

from sweep.clock import CLOCK
from sweep.cluster import Cluster, Work
from sweep.errors import BadInput, Detached, Interrupted
from sweep.plan.budget import Budget, Spent
from sweep.plan.round import Round, Study, round_hash
from sweep.plan.trial import State
from sweep.report.html import import_libraries
from sweep.report.narration import Subject
from sweep.report.progress import open_display
from sweep.report.tally import Tally
from sweep.study.following import GRACE_S, Enough, Following
from sweep.study.going_on import how_to_come_back, how_to_go_on
from sweep.study.marking import mark_cancelled
from sweep.study.offering import Offerer
from sweep.study.outline import Outline
from sweep.study.parent import ParentRun
from sweep.study.spending import Allowance, Meter, budget_of, stop_reason
from sweep.study.studied import Studied, regrown


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
    budget: Budget | None = None,
    offerer: Offerer | None = None,
) -> Conducted:
    """Run one round and wait for its end; the caller holds the study's lease.

    `echo` is called with each pack that ended, to show what it printed. `adopt` follows a round
    that runs already, and starts nothing; `budget` then replaces the one that it was started with.
    An `offerer` adds trials as others end.

    Raises Interrupted after Ctrl-C and where a person cancels, with the way to go on; Detached
    once the round runs without us, where `detach` asks for it; StoreLost, Unreachable and BadInput
    as they come from store, cluster and workers. What ends with its client is ended.
    """
    study = state.study
    if not plan.round.packs:  # another study had trained it all
        return Conducted(studied=state, problems={})
    now = CLOCK.now()
    allowance = Allowance(budget or budget_of(study, plan.round), Meter(state.place))
    work = work_of(
        study,
        plan.round,
        store=_parent_address(state),
        budget=allowance.budget,
        spent=allowance.spent(state.reader.ledger, now=now),
    )
    tally, labels = _tally(state, plan, workers=workers, now=now), _labels(state)
    subject = _subject(state, labels)

    parent = ParentRun(state.place, study)
    try:
        _begin(cluster, work, adopt=adopt)
        parent.start()
        if detach:
            _detach(state)
        _import_early(study)
        with open_display(tally, subject=subject, console=console, now=now) as display:
            following = Following(
                state=state,
                cluster=cluster,
                display=display,
                enough=_limits(state, allowance),
                echo=echo,
                grow=_growing(offerer, tally, labels) if offerer is not None else None,
            )
            following.to_the_end()
    except KeyboardInterrupt:
        if cluster.lasting:
            raise Interrupted(how_to_come_back(state)) from None
        cluster.stop(GRACE_S)
        state.reader.look()
        grown = regrown(state, offerer.rounds) if offerer is not None else state
        raise Interrupted(how_to_go_on(grown)) from None
    except BaseException:
        if not cluster.lasting:
            cluster.stop(GRACE_S)
        raise
    finally:
        parent.join()
    if following.lost or (following.stopping and cluster.lasting):
        cluster.remove()
    state.reader.look()
    if following.stopping and (cluster.lasting or plan.round.open):
        mark_cancelled(following.state, offerer.rounds[-1] if offerer else plan.round)
    return Conducted(
        studied=following.state, problems=following.problems, lost=frozenset(following.lost)
    )


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
        with open_display(
            tally, subject=_subject(state, _labels(state)), console=console, now=now
        ) as display:
            Following(state=state, cluster=cluster, display=display).to_the_end()
    except KeyboardInterrupt:
        raise Interrupted(how_to_come_back(state)) from None
    state.reader.look()


def work_of(
    study: Study,
    round_: Round,
    *,
    store: str,
    budget: Budget | None = None,
    spent: Spent | None = None,
) -> Work:
    """Describe a round to a cluster; `store` is the address of the whole store.

    `spent` is what earlier rounds used up of the budget, else of the round's own.
    """
    return Work(
        store=store,
        study=study.name,
        round=round_.number,
        round_hash=round_hash(round_),
        packs=[pack.number for pack in round_.packs],
        fused=frozenset(pack.number for pack in round_.packs if pack.fused),
        task=study.task,
        tracking=str(study.tracking.get("uri") or ""),
        code=str(dict(study.facts.get("code") or {}).get("bundle") or ""),
        max_attempts=_ends_of_a_pack(study, round_),
        budget=budget or budget_of(study, round_),
        spent=spent or Spent(),
    )


def _growing(
    offerer: Offerer, tally: Tally, labels: dict[int, str]
) -> Callable[[Studied], Studied]:
    def grow(state: Studied) -> Studied:
        heard = offerer.hear(state)
        if heard is None:
            return state
        grown, plan = heard
        tally.expect({number: cost.flop for number, cost in plan.costs.items()})
        labels.update(_labels(grown))
        return grown

    return grow


def _import_early(study: Study) -> None:
    if study.facts.get("ranked"):
        threading.Thread(target=import_libraries, name="report", daemon=True).start()


def _limits(state: Studied, allowance: Allowance) -> Enough:
    study = state.study
    most = study.limits.get("max_failed")

    def enough(state: Studied, running: Collection[int]) -> str | None:
        ledger = state.reader.ledger
        failed = ledger.count(State.FAILED)
        if most is not None and failed > most:
            return f"{failed} trials failed, more than max_failed={most}"
        used = allowance.check(ledger, now=CLOCK.now(), running=running)
        return stop_reason(used, study=study.name) if used else None

    return enough


def _tally(state: Studied, plan: Outline, *, workers: int, now: float) -> Tally:
    return Tally(
        {number: cost.flop for number, cost in plan.costs.items()},
        workers=workers,
        direction=state.study.direction,
        now=now,
    )


def _subject(state: Studied, labels: Mapping[int, str]) -> Subject:
    return Subject(
        title=f"study {state.study.name}",
        objective=state.study.objective,
        label=labels.__getitem__,
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
    if round_.open:  # any slot may take any trial
        longest = len(round_.trials)
    return int(study.limits.get("max_attempts", 3)) * (longest + 1)


def _parent_address(state: Studied) -> str:
    return state.place.url.removesuffix(f"/{state.study.name}")
