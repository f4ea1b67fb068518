"""Score trials on the test part, and keep their models."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from sweep.cluster.cpus import usable_cpus
from sweep.errors import SweepError
from sweep.plan import layout
from sweep.plan.application import Application, Decision, Tree, Winner
from sweep.plan.round import Study
from sweep.plan.trial import Value
from sweep.report.resampling import Resampled, versus
from sweep.schema import flatten
from sweep.store import Store


@dataclass(frozen=True, slots=True)
class Crowned:
    """One seed of the winning configuration."""

    trial: int
    seed: Value
    winner: Winner


def crown_trials(
    store: Store,
    trees: Mapping[int, Tree],
    *,
    application: Application,
    study: Study,
    say: Callable[[str], None],
) -> list[Crowned]:
    """Score trials, given resolved, on the test part; keep their models, and no others' weights.

    They are the seeds of one configuration, the best on validation first.
    """
    weights = [_weights(store, n, tree, application, say) for n, tree in trees.items()]
    # One process scores, when no other works any more: its library lets go of Python's lock.
    with ThreadPoolExecutor(usable_cpus()) as pool:
        winners = pool.map(application.crown, trees.values(), weights)
        crowned = [
            Crowned(number, flatten(tree).get(study.seed), winner)
            for (number, tree), winner in zip(trees.items(), winners, strict=True)
        ]
    if trees:
        first = next(iter(trees.values()))
        _compare(store, first, weights, application, say)
        _join(store, first, crowned, weights, application, most=study.tracking.get("ensemble"))
    crowned.sort(key=lambda item: item.trial)
    _keep(store, crowned)
    return crowned


@dataclass(frozen=True, slots=True)
class Joined:
    """Several seeds of the winner as one model."""

    trials: tuple[int, ...]
    metrics: Mapping[str, float]  # on the test part


def read_joined(store: Store) -> Joined | None:
    """Read which seeds were joined, and what they score together; None where none were."""
    try:
        body = json.loads(store.read(layout.ENSEMBLE))
        return Joined(tuple(body["trials"]), dict(body["metrics"]))
    except (KeyError, ValueError, TypeError):
        return None


def _join(
    store: Store,
    tree: Tree,
    crowned: Sequence[Crowned],
    weights: Sequence[bytes],
    application: Application,
    *,
    most: int | None,
) -> None:
    if not most or len(crowned) < 2 or application.together is None:
        return
    metrics = application.together(tree, weights[:most])
    body = {"trials": [item.trial for item in crowned[:most]], "metrics": dict(metrics)}
    store.write(layout.ENSEMBLE, json.dumps(body).encode())


def read_versus(store: Store) -> dict[str, Resampled]:
    """Read how the winner compares with each baseline on the test part, where that is known."""
    try:
        body = json.loads(store.read(layout.VERSUS))
        return {name: Resampled(**item) for name, item in body.items()}
    except (KeyError, ValueError, TypeError):
        return {}


def _compare(
    store: Store,
    tree: Tree,
    weights: Sequence[bytes],
    application: Application,
    say: Callable[[str], None],
) -> None:
    """Compare the winner with the baselines, window by window, and keep what comes of it."""
    if application.paired_errors is None:
        return
    try:
        kept = store.read(layout.BASELINE_ERRORS)
    except KeyError:
        kept = None
    try:
        paired = application.paired_errors(tree, weights, kept)
        found = {
            name: versus(paired.own, other, overlap=paired.overlap)
            for name, other in paired.others.items()
        }
    except Exception as error:  # noqa: BLE001  costs the study this comparison, and no score
        say(f"the winner is not compared with the baselines: {type(error).__name__}: {error}")
        return
    body = {name: asdict(item) for name, item in found.items() if item is not None}
    store.write(layout.VERSUS, json.dumps(body).encode())


def _weights(
    store: Store, number: int, tree: Tree, application: Application, say: Callable[[str], None]
) -> bytes:
    try:
        return store.read(layout.weights_key(number))
    except KeyError:
        say(f"trial {number} is trained again from its seed: its weights were not kept")
    again = application.run(tree, lambda _: Decision.GO_ON)
    if again.weights is None:
        raise SweepError(f"trial {number} did not complete when it was trained again")
    store.write(layout.weights_key(number), again.weights)
    return again.weights


def _keep(store: Store, crowned: Sequence[Crowned]) -> None:
    for item in crowned:
        for name, content in item.winner.model.items():
            store.write(f"{layout.model_prefix(item.trial)}{name}", content)
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
    store.write(layout.WINNER, json.dumps(body).encode())
    winners = {layout.weights_key(item.trial) for item in crowned}
    for key in store.sizes(layout.TRIALS):
        if layout.is_weights(key) and key not in winners:
            store.delete(key)
