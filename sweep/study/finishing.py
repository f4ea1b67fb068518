"""Bring a study to its end: crown the winner, publish, sum up."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf
from rich.console import Console

from sweep.errors import SweepError
from sweep.plan import layout
from sweep.plan.application import Application, Scores
from sweep.plan.round import set_values
from sweep.plan.trial import Record, State, Value
from sweep.report.baselines import read_baselines
from sweep.report.leaderboard import Configuration, Leaderboard
from sweep.report.results import Results
from sweep.report.summary import render, summarize
from sweep.study.conducting import Studied


def finish(
    state: Studied,
    *,
    application: Application,
    problems: Mapping[int, str],
    console: Console,
) -> Mapping[int, Record]:
    """Score the winner on the test part, publish everything, print the summary."""
    board = state.board()
    test = _crown(state, board, application, console)
    results = Results(
        board=board,
        records=state.records,
        baselines=read_baselines(_baselines(state), board=board),
        test=test,
        seed=state.study.seed,
    )
    for pack, why in problems.items():
        console.print(f"pack {pack} was given up: {why}", soft_wrap=True)
    console.print(
        render(summarize(results, title=f"study {state.study.name}", links=_links(state)))
    )
    return state.records


def _crown(
    state: Studied, board: Leaderboard, application: Application, console: Console
) -> dict[Value, float]:
    best = board.best
    if best is None:
        return {}
    known = _known_winner(state)
    if known.get("trials") != list(best.trials):
        application.warm()
        known = _score(state, best, application, console)
        state.place.write(layout.WINNER, json.dumps(known).encode())
    return {entry["seed"]: entry["metrics"][state.study.test] for entry in known["scores"]}


def _known_winner(state: Studied) -> dict[str, Any]:
    try:
        known = json.loads(state.place.read(layout.WINNER))
    except (KeyError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _score(
    state: Studied, best: Configuration, application: Application, console: Console
) -> dict[str, Any]:
    scores: list[dict[str, Any]] = []
    for number in best.trials:
        record = state.records.get(number)
        if record is None or record.state is not State.COMPLETED:
            continue
        tree = _tree(state, number)
        winner = application.crown(tree, _weights(state, number, tree, application, console))
        for name, content in winner.model.items():
            state.place.write(f"{layout.trial_prefix(number)}model/{name}", content)
        scores.append({"trial": number, "seed": _seed(state, number), "metrics": winner.metrics})
    return {"trials": list(best.trials), "scores": scores, "at": time.time()}


def _weights(
    state: Studied, number: int, tree: Mapping[str, Any], application: Application, console: Console
) -> bytes:
    try:
        return state.place.read(layout.weights_key(number))
    except KeyError:
        console.print(
            f"trial {number}: its weights were not kept; it is trained again from its seed"
        )
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


def _seed(state: Studied, number: int) -> Value:
    from sweep.schema import flatten

    return flatten(_tree(state, number)).get(state.study.seed)


def _baselines(state: Studied) -> Scores:
    try:
        scores: Scores = json.loads(state.place.read(layout.BASELINES))
    except (KeyError, ValueError):
        return {}
    return scores


def _links(state: Studied) -> list[str]:
    return [f"records: {state.place.url.removeprefix('file://')}"]
