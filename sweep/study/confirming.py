"""Train the best of a search again with fresh seeds, as one more round of the study."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.plan import layout
from sweep.plan.application import Application
from sweep.plan.budget import Budget
from sweep.plan.round import Round
from sweep.plan.rungs import never_began
from sweep.plan.selection import (
    Selection,
    fresh_seeds,
    read_confirm,
    select,
    selection_to_bytes,
    with_seeds,
)
from sweep.plan.trial import State, Trial, Value
from sweep.study.outline import Outline
from sweep.study.rounds import next_round
from sweep.study.searching import is_over, read_search, read_story
from sweep.study.siting import Site
from sweep.study.studied import Studied, read_selection


def confirming_round(
    state: Studied,
    rounds: Sequence[Round],
    application: Application | None,
    *,
    site: Site,
    budget: Budget | None = None,
) -> Outline | None:
    """Plan the round that confirms the best of a study; None where there is none to do.

    What is confirmed is written down first, so that whoever goes on after a kill trains the same.
    A search that is not through, or that left fewer than two to choose from, is not confirmed.
    """
    confirm = read_confirm(state.study.confirm)
    if confirm is None or application is None or not is_through(state):
        return None
    selection = read_selection(state.place)
    if selection is None:
        best = state.board().ranked[: confirm.best]
        if len(best) < 2:
            return None
        selection = select(
            [item.trials for item in best],
            seeds=fresh_seeds(seeds_used(state), confirm.seeds),
            first_number=next_number(state),
        )
        state.place.create(layout.SELECTION, selection_to_bytes(selection))
        selection = read_selection(state.place) or selection
    known = {trial.number for trial in state.trials}
    missing = [trial for trial in fresh_trials(state, selection) if trial.number not in known]
    if not missing:
        return None
    return next_round(state, rounds, missing, application, site=site, budget=budget)


def fresh_trials(state: Studied, selection: Selection) -> list[Trial]:
    """Make the trials of a selection: each configuration once a fresh seed."""
    trials = {trial.number: trial for trial in state.trials}
    return [
        trial
        for item in selection.candidates
        for trial in with_seeds(
            trials[item.screened[0]],
            key=state.study.seed,
            seeds=selection.seeds,
            first_number=item.fresh[0],
        )
    ]


def is_through(state: Studied) -> bool:
    """Tell whether every trial has a result, or failed for good, and no search goes on."""
    if read_search(state.place) is not None and not is_over(read_story(state.place)):
        return False
    records = state.records
    trained = [trial.number for trial in state.trials if trial.same_as is None]
    return all(
        n in records and (records[n].state is not State.CANCELLED or never_began(records[n]))
        for n in trained
    )


def seeds_used(state: Studied) -> list[Value]:
    """List the seeds of a study's trials."""
    key, flats = state.study.seed, state.flats()
    return [t.values.get(key, flats[t.base].get(key)) for t in state.trials]


def next_number(state: Studied) -> int:
    """Give the number of the next trial of a study."""
    return 1 + max((trial.number for trial in state.trials), default=-1)
