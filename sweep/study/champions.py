"""Find what tonight's winner has to hold against, and put a new champion in its place."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sweep.errors import BadInput, SweepError, Unreachable
from sweep.plan import layout
from sweep.plan.contest import Champion
from sweep.plan.round import Study
from sweep.plan.trial import Value
from sweep.report.judgement import Judgement, from_json
from sweep.report.leaderboard import Configuration
from sweep.schema import flatten
from sweep.store import Store
from sweep.study.crowning import tree_of
from sweep.study.reading import list_studies, read_rounds, read_study
from sweep.study.showing import parent_run, tracker_of
from sweep.study.studied import Studied, studied


def card_of(
    state: Studied, best: Configuration, *, scores: Sequence[tuple[Value, float]] = ()
) -> dict[str, Value]:
    """Say what a configuration is made of, so that another night can train it again."""
    config = flatten(tree_of(state, best.trials[0]))
    config.pop(state.study.seed, None)
    facts = state.study.facts
    return {
        "study": state.study.name,
        "trial": best.trials[0],
        "config": config,
        "scores": [list(pair) for pair in scores],
        "data": dict(facts.get("data", {})),
        "code": code_of(state.study),
    }


def code_of(study: Study) -> dict[str, Value]:
    """Say which code a study ran with."""
    facts = study.facts
    return {
        "git": facts.get("git", ""),
        "versions": dict(facts.get("versions", {})),
        "bundle": dict(facts.get("code") or {}).get("bundle"),
    }


def champions_of(state: Studied, *, store: Store, alias: str, nights: int) -> list[Champion]:
    """Find the champion, or the winners of the nights before; none on the first night.

    Raises Unreachable where MLflow is asked and does not answer, BadInput for a champion that
    says nothing of itself.
    """
    if nights:
        return [
            champion_from(card, name=f"study {name}")
            for name, card in _winners_before(state, store)[:nights]
        ]
    model = state.study.tracking.get("register")
    if model and state.study.tracking.get("uri"):
        card, name = _registered(state, model=str(model), alias=alias)
        return [champion_from(card, name=name)] if card else []
    for judged in judgements_before(state, store):
        if judged.champion:
            study = judged.champion["study"]
            return [champion_from(judged.champion, name=f"the winner of {study}")]
    return []


def champion_from(card: Mapping[str, Value], *, name: str) -> Champion:
    """Read a champion's card.

    Raises BadInput.
    """
    try:
        return Champion(
            name=name,
            study=str(card["study"]),
            trial=int(card["trial"]),
            config=dict(card["config"]),
            scores=tuple((seed, float(score)) for seed, score in card.get("scores", [])),
            data=dict(card.get("data", {})),
            code=dict(card.get("code", {})),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{name}: its card cannot be read ({error!r}); set the alias anew") from None


def judgements_before(state: Studied, store: Store) -> list[Judgement]:
    """Read what gates said of earlier studies of the same job, the newest first."""
    found = []
    for study in _earlier(state, store):
        judged = read_judgement(store.at(study.name))
        if judged is not None:
            found.append(judged)
    return found


def read_judgement(place: Store) -> Judgement | None:
    """Read what the gate said of a study; None where it was not asked, or cannot be read."""
    try:
        return from_json(json.loads(place.read(layout.GATE)))
    except (KeyError, ValueError):
        return None


def crown_champion(
    state: Studied, card: Mapping[str, Value], *, alias: str, study: str, again: bool
) -> list[str]:
    """Give the alias to the version that is the champion now; say what was done.

    `again` says that it is the old champion, whose card alone is written anew.
    Raises Unreachable where MLflow does not take it.
    """
    model = state.study.tracking.get("register")
    tracker = tracker_of(state.study) if model else None
    if tracker is None:
        return []
    from sweep.tracking.champion import champion_of, promote, version_of_run
    from sweep.tracking.failures import Away, Refused

    try:
        if again:
            version = champion_of(tracker, model=str(model), alias=alias)
        else:
            run = parent_run(state.place) or ""
            version = version_of_run(tracker, model=str(model), run=run)
        if version is None:
            raise Unreachable(
                f"MLflow has no version of model {model} from study {study}; "
                f"`python -m sweep publish {study}` registers it, then run the gate again"
            )
        promote(tracker, model=str(model), alias=alias, version=version, card=card)
    except (Away, Refused) as error:
        raise Unreachable(f"model {model}: MLflow did not take the alias ({error})") from None
    return [] if again else [f"version {version.number} of {model} has the alias {alias} now"]


def _registered(
    state: Studied, *, model: str, alias: str
) -> tuple[Mapping[str, Value] | None, str]:
    from sweep.tracking.champion import champion_of
    from sweep.tracking.failures import Away, Refused

    tracker = tracker_of(state.study)
    if tracker is None:
        return None, ""
    try:
        version = champion_of(tracker, model=model, alias=alias)
    except (Away, Refused) as error:
        raise Unreachable(
            f"model {model}: MLflow cannot be asked for its champion ({error})"
        ) from None
    if version is None:
        return None, ""
    name = f"version {version.number} of {model}"
    if version.card is None:
        raise BadInput(
            f"{name} has the alias {alias}, but says nothing of its configuration: it was not "
            "registered by a gate; take the alias from it, and the next gate begins anew"
        )
    return version.card, name


def _winners_before(state: Studied, store: Store) -> list[tuple[str, Mapping[str, Value]]]:
    found: list[tuple[str, Mapping[str, Value]]] = []
    for study in _earlier(state, store):
        place = store.at(study.name)
        judged = read_judgement(place)
        if judged is not None:
            found.append((study.name, judged.winner))
            continue
        try:
            earlier = studied(place, study, read_rounds(place))
        except BadInput:  # it planned nothing
            continue
        best = earlier.board().best
        if best is not None:
            found.append((study.name, card_of(earlier, best)))
    return found


def _earlier(state: Studied, store: Store) -> list[Study]:
    found = []
    for name in list_studies(store):
        try:
            study = read_study(store.at(name))
        except SweepError:  # a damaged study is its own matter
            continue
        same = (study.job, study.task) == (state.study.job, state.study.task)
        if same and study.name != state.study.name and study.created < state.study.created:
            found.append(study)
    return sorted(found, key=lambda study: study.created, reverse=True)
