"""Score the winner on the test part, once, and make its model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import OmegaConf
from rich.console import Console

from sweep.errors import SweepError
from sweep.plan import layout
from sweep.plan.application import Application, Winner
from sweep.plan.round import set_values
from sweep.plan.trial import State, Value
from sweep.report.leaderboard import Configuration
from sweep.schema import flatten
from sweep.study.conducting import Studied


@dataclass(frozen=True, slots=True)
class Crowned:
    """One seed of the winning configuration."""

    trial: int
    seed: Value
    winner: Winner


def crown(
    state: Studied, best: Configuration, *, application: Application, console: Console
) -> list[Crowned]:
    """Score every completed seed of the winner on the test part.

    What was scored before is read back. Weights of other trials are removed.
    """
    known = known_winner(state, best)
    if known is None:
        application.warm()
        known = [
            _score(state, number, application, console)
            for number in best.trials
            if number in state.records and state.records[number].state is State.COMPLETED
        ]
        _keep(state, known)
    return known


def _score(state: Studied, number: int, application: Application, console: Console) -> Crowned:
    tree = _tree(state, number)
    winner = application.crown(tree, _weights(state, number, tree, application, console))
    return Crowned(number, flatten(tree).get(state.study.seed), winner)


def _weights(
    state: Studied, number: int, tree: Mapping[str, Any], application: Application, console: Console
) -> bytes:
    try:
        return state.place.read(layout.weights_key(number))
    except KeyError:
        console.print(f"trial {number} is trained again from its seed: its weights were not kept")
    again = application.run(tree, lambda _: None)
    if again.weights is None:
        raise SweepError(f"trial {number} did not complete when it was trained again")
    state.place.write(layout.weights_key(number), again.weights)
    return again.weights


def _tree(state: Studied, number: int) -> dict[str, Any]:
    trial = next(trial for trial in state.trials if trial.number == number)
    config = OmegaConf.create(set_values(state.bases[trial.base].config, trial.values))
    tree = OmegaConf.to_container(config, resolve=True)
    assert isinstance(tree, dict)
    return {str(key): value for key, value in tree.items()}


def _keep(state: Studied, crowned: Sequence[Crowned]) -> None:
    for item in crowned:
        for name, content in item.winner.model.items():
            state.place.write(f"{layout.model_prefix(item.trial)}{name}", content)
    body = [
        {
            "trial": item.trial,
            "seed": item.seed,
            "metrics": dict(item.winner.metrics),
            "example": {key: list(values) for key, values in item.winner.example.items()},
            "outputs": list(item.winner.outputs),
            "files": sorted(item.winner.model),
        }
        for item in crowned
    ]
    state.place.write(layout.WINNER, json.dumps(body).encode())
    winners = {layout.weights_key(item.trial) for item in crowned}
    for key in state.place.sizes(layout.TRIALS):
        if layout.is_weights(key) and key not in winners:
            state.place.delete(key)


def known_winner(state: Studied, best: Configuration) -> list[Crowned] | None:
    """Read back what `crown` kept; None where it did not, or for another winner."""
    completed = [
        number
        for number in best.trials
        if number in state.records and state.records[number].state is State.COMPLETED
    ]
    try:
        body = json.loads(state.place.read(layout.WINNER))
        if [entry["trial"] for entry in body] != completed:
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
