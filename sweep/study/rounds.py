"""Plan the round that does what an earlier one left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from sweep.plan.application import Application, Cost
from sweep.plan.budget import Budget
from sweep.plan.facets import Grid
from sweep.plan.round import Round, Study
from sweep.plan.trial import Trial, Value
from sweep.schema import flatten
from sweep.study.halving import opened, rungs_again
from sweep.study.outline import Outline, outline
from sweep.study.reading import open_ends
from sweep.study.siting import Site
from sweep.study.spending import BUDGET, budget_of
from sweep.study.studied import Studied


def next_round(
    state: Studied,
    rounds: Sequence[Round],
    missing: Sequence[Trial],
    application: Application | None,
    *,
    site: Site,
    budget: Budget | None = None,
    until: float | None = None,
) -> Outline:
    """Plan trials of a study anew, as its next round; `budget` replaces the one it has.

    So does `until` the time after which no trial of a search by halving begins, in UTC seconds.

    What older attempts add to their records from now on does not count.
    """
    # The new round holds its own bases, so that it can be read alone.
    used = sorted({trial.base for trial in missing})
    place = {base: i for i, base in enumerate(used)}
    plan = outline(
        [state.bases[base] for base in used],
        [replace(trial, base=place[trial.base]) for trial in missing],
        application=application,
        site=site,
        pack_size=state.study.limits.get("pack_size"),
        number=len(rounds) + 1,
        first_pack=1 + max((p.number for round_ in rounds for p in round_.packs), default=-1),
    )
    # Workers of an earlier life may still write: what they add from now on does not count.
    fences = open_ends(state.place)
    hydra = _hydra(rounds, missing)
    allowed = asdict(budget or budget_of(state.study, rounds[-1]))
    cluster = {**site.note, BUDGET: allowed}
    files = {path: file for each in rounds for path, file in each.files.items()}
    round_ = replace(plan.round, hydra=hydra, fences=fences, cluster=cluster, files=files)
    rungs = rungs_again(rounds, missing)
    if rungs is not None:
        rungs = rungs if until is None else replace(rungs, until=until)
        round_ = opened(round_, rungs, site=site)
    return replace(plan, round=round_)


def files_of(study: Study, rounds: Iterable[Round]) -> dict[str, Value]:
    """Gather the files of data that a study and its rounds name: path to sha256 and size."""
    found: dict[str, Value] = dict(study.facts.get("files") or {})
    for round_ in rounds:
        found.update(round_.files)
    return found


def costs_of(round_: Round, application: Application | None) -> dict[int, Cost]:
    """Estimate again what the trials of a round cost."""
    packed = {number for pack in round_.packs for number in pack.trials}
    if round_.open:
        packed = {trial.number for trial in round_.trials if trial.same_as is None}
    trained = [trial for trial in round_.trials if trial.number in packed]
    numbers = [trial.number for trial in trained]
    if application is None:
        return dict.fromkeys(numbers, Cost(1, 1.0))
    grid = Grid([flatten(base.config) for base in round_.bases], trained)
    return dict(zip(numbers, grid.ask(application.cost), strict=True))


def _hydra(rounds: Sequence[Round], missing: Sequence[Trial]) -> Mapping[str, Any]:
    plans = [round_.hydra for round_ in rounds if round_.hydra]
    if not plans:
        return {}
    jobs = {number: words for plan in plans for number, words in plan["jobs"].items()}
    return {**plans[0], "jobs": {str(t.number): jobs[str(t.number)] for t in missing}}
