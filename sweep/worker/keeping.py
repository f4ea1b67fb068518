"""Decide whose weights are kept while nobody knows yet who wins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sweep.plan import layout
from sweep.plan.application import Application, Result
from sweep.plan.contest import contest_from_bytes
from sweep.plan.round import Round, digest
from sweep.plan.selection import selection_from_bytes
from sweep.plan.trial import Trial
from sweep.schema import flatten
from sweep.store import Store


def keep_weights(
    store: Store, application: Application, round_: Round, trial: Trial, result: Result
) -> str | None:
    """Keep a trial's weights where it is the best so far, or a further seed of the best so far.

    Fresh seeds that confirm the best are all kept: one of them will win.
    Two workers may each think theirs the best: both are kept, and the conductor removes what did
    not win. A winner whose weights are not there is trained again from its seed. What a gate
    trains wins nothing here.
    """
    if result.weights is None or result.objective is None or _contests(store, round_, trial):
        return None
    own = _configuration(application, round_, trial)
    best = _best(store)
    sign = 1 if application.direction == "minimize" else -1
    better = best is None or sign * result.objective < sign * best["objective"]
    rival = best is not None and best["configuration"] != own
    if not better and rival and not _confirms(store, round_, trial):
        return None
    key = layout.weights_key(trial.number)
    store.write(key, result.weights)
    if better:
        body = {
            "trial": trial.number,
            "objective": result.objective,
            "configuration": own,
        }
        store.write(layout.BEST, json.dumps(body).encode())
    return key


def _configuration(application: Application, round_: Round, trial: Trial) -> str:
    config = {**flatten(round_.bases[trial.base].config), **trial.values}
    config.pop(application.seed_key, None)
    return digest(config)


def _confirms(store: Store, round_: Round, trial: Trial) -> bool:
    if round_.number == 1:
        return False
    try:
        data = store.read(layout.SELECTION)
    except KeyError:
        return False
    selection = selection_from_bytes(data, where=f"{store.url}/{layout.SELECTION}")
    return trial.number in selection.fresh


def _contests(store: Store, round_: Round, trial: Trial) -> bool:
    if round_.number == 1:
        return False
    try:
        data = store.read(layout.CONTEST)
    except KeyError:
        return False
    return trial.number in contest_from_bytes(data, where=f"{store.url}/{layout.CONTEST}").numbers


def _best(store: Store) -> Mapping[str, Any] | None:
    try:
        best: Mapping[str, Any] = json.loads(store.read(layout.BEST))
    except KeyError:
        return None
    return best
