"""Score the winner on the test part, once, and make its model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console

from sweep.plan import layout
from sweep.plan.application import Application, Tree, Winner
from sweep.plan.trial import State
from sweep.report.leaderboard import Configuration
from sweep.study.resolving import resolve
from sweep.study.scoring import Crowned, crown_trials
from sweep.study.studied import Studied

Elsewhere = Callable[[Mapping[int, Tree]], str]  # resolved trials to what was said of them


def crown(
    state: Studied,
    best: Configuration,
    *,
    application: Application,
    elsewhere: Elsewhere | None = None,
    console: Console,
) -> list[Crowned]:
    """Score every completed seed of the winner on the test part.

    What was scored before is read back. `elsewhere` may do the work where its imports are made
    already; what it leaves undone is done here.
    """
    known = known_winner(state, best)
    if known is not None:
        return known
    trees = {number: tree_of(state, number) for number in _best_first(state, best)}
    if elsewhere is not None:
        said = elsewhere(trees)
        if said:
            console.print(said, end="", markup=False)
        known = known_winner(state, best)
    if known is None:
        application.warm()
        known = crown_trials(
            state.place, trees, application=application, study=state.study, say=console.print
        )
    return known


def tree_of(state: Studied, number: int) -> dict[str, Any]:
    """Resolve the configuration of a trial."""
    trial = next(trial for trial in state.trials if trial.number == number)
    return resolve(state.bases[trial.base].config, trial.values)


def _best_first(state: Studied, best: Configuration) -> list[int]:
    sign = 1 if state.study.direction == "minimize" else -1
    numbers = _completed(state, best)
    return sorted(numbers, key=lambda n: (sign * (state.records[n].objective or 0.0), n))


def _completed(state: Studied, best: Configuration) -> list[int]:
    return [
        number
        for number in best.trials
        if number in state.records and state.records[number].state is State.COMPLETED
    ]


def known_winner(state: Studied, best: Configuration) -> list[Crowned] | None:
    """Read back what `crown` kept; None where it did not, or for another winner."""
    try:
        body = json.loads(state.place.read(layout.WINNER))
        if [entry["trial"] for entry in body] != _completed(state, best):
            return None
        return [
            Crowned(
                entry["trial"],
                entry["seed"],
                Winner(
                    metrics=entry["metrics"],
                    model={
                        name: state.place.read(f"{layout.model_prefix(entry['trial'])}{name}")
                        for name in entry["files"]
                    },
                    example=entry["example"],
                    outputs=entry["outputs"],
                ),
            )
            for entry in body
        ]
    except (KeyError, ValueError, TypeError):
        return None
