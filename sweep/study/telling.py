"""Say what is about to run, before it runs."""

from __future__ import annotations

from collections.abc import Mapping

import yaml
from rich.console import Console

from sweep.compose import Composition
from sweep.plan.round import Study
from sweep.plan.selection import Confirm, read_confirm
from sweep.plan.trial import Value
from sweep.report.formats import count, show_flop
from sweep.store import Store
from sweep.study.outline import Outline, grid
from sweep.study.showing import opened_at
from sweep.study.siting import Site
from sweep.study.studied import Studied
from sweep.tracking.address import opening


def announce(
    study: Study, plan: Outline, *, store: Store, site: Site, console: Console, how: str = ""
) -> None:
    """Print the study, its size, its cost, and where it goes."""
    _say(console, f"study    {study.name}")
    _say(console, f"trials   {trials(plan)}")
    _tell_confirm(read_confirm(study.confirm), console)
    if plan.data:
        _say(console, f"cost     {cost(plan)}")
    _say(console, f"runs     {how}{where(site, plan)}")
    _say(console, f"store    {store.url.removeprefix('file://')}")
    if study.tracking.get("uri"):
        _say(console, f"MLflow   {opening(opened_at(str(study.tracking['uri'])))}")
    else:
        _say(console, "MLflow   off (not installed, or no MLFLOW_TRACKING_URI)")


def announce_confirming(state: Studied, plan: Outline, *, console: Console) -> None:
    """Print which configurations are trained again, and with which seeds."""
    selection = state.selection
    assert selection is not None
    seeds = ", ".join(map(str, selection.seeds))
    _say(
        console,
        f"confirm  the best {len(selection.candidates)} again with the seeds {seeds}: "
        f"{plan.trained} trials",
    )


def tell_unconfirmed(state: Studied, *, console: Console) -> None:
    """Print why nothing is trained again with fresh seeds."""
    ranked = len(state.board().ranked)
    few = f"{count(ranked, 'configuration')} completed"
    _say(console, f"confirm  nothing: {few if ranked < 2 else 'the search is not through'}")


def describe(
    plan: Outline,
    composition: Composition,
    *,
    site: Site,
    console: Console,
    confirm: Confirm | None = None,
) -> None:
    """Print a plan that is not carried out."""
    _say(console, f"trials   {trials(plan)}")
    _tell_confirm(confirm, console)
    for key, values in grid(composition.trials).items():
        shown = ", ".join(str(value) for value in values[:8])
        more = f", ... ({len(values)})" if len(values) > 8 else ""
        _say(console, f"  {key}: {shown}{more}")
    if plan.data:
        _say(console, f"cost     {cost(plan)}")
    _say(console, f"runs     {where(site, plan)}")
    for title, trial in (("first", composition.trials[0]), ("last", composition.trials[-1])):
        line = " ".join(f"{key}={value}" for key, value in trial.values.items())
        _say(console, f"{title:8} trial {trial.number}: {line or '(nothing varies)'}")
    _say(console, "nothing was written or started")


def print_job(body: Mapping[str, Value], *, console: Console) -> None:
    """Print a Job as it would be created."""
    _say(console, yaml.safe_dump(dict(body), sort_keys=False).rstrip())


def where(site: Site, plan: Outline) -> str:
    """Say where a plan runs, how wide, and why there."""
    if site.settings is None:
        return f"{site.where}: {site.workers} workers, one thread each"
    pods = min(site.workers, len(plan.round.packs))
    wide = f", {site.lanes} trials at a time in each" if site.lanes > 1 else ""
    return f"{site.where}: one Job, {pods} pods at a time{wide}"


def trials(plan: Outline) -> str:
    """Count trials, those that are equal in effect, and packs."""
    every, distinct = len(plan.round.trials), plan.trained + plan.taken
    same = f", {distinct:,} distinct in effect" if distinct < every else ""
    taken = f", {plan.taken:,} taken over from earlier studies" if plan.taken else ""
    packs = f"{len(plan.round.packs):,} {'open slots' if plan.round.open else 'packs'}"
    return f"{every:,}{same}{taken}, in {packs}"


def cost(plan: Outline) -> str:
    """Say what the trials cost at most."""
    return f"at most {plan.epochs:,} trial-epochs, {show_flop(plan.flop)} of training"


def _tell_confirm(confirm: Confirm | None, console: Console) -> None:
    if confirm is not None:
        _say(
            console,
            f"confirm  the best {confirm.best} again with {confirm.seeds} fresh seeds each: "
            f"{confirm.trials} trials more",
        )


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
