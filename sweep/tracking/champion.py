"""Find and name the champion among the versions of a registered model."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweep.plan.trial import Value
from sweep.tracking.failures import Refused
from sweep.tracking.server import Tracker

CARD = "sweep.card"  # tag of a version: what it is made of, as JSON
log = logging.getLogger("sweep.tracking")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a registered model."""

    number: str
    run: str  # the study's parent run
    card: Mapping[str, Value] | None  # what sweep wrote of it; None: registered by other means


def champion_of(tracker: Tracker, *, model: str, alias: str) -> Version | None:
    """Find the version that has the alias; None where no version has it.

    Raises Away, Refused.
    """
    try:
        registered = tracker.ask(lambda client: client.get_registered_model(model))
    except Refused as error:
        log.debug("model %s is not registered yet (%s)", model, error)
        return None
    number = dict(registered.aliases or {}).get(alias)
    if number is None:
        return None
    return _version(tracker.ask(lambda client: client.get_model_version(model, str(number))))


def version_of_run(tracker: Tracker, *, model: str, run: str) -> Version | None:
    """Find the newest version that a parent run registered.

    Raises Away, Refused.
    """
    found = tracker.ask(lambda client: client.search_model_versions(f"name='{model}'"))
    own = [version for version in found if version.run_id == run]
    return _version(max(own, key=lambda version: int(version.version))) if own else None


def promote(
    tracker: Tracker, *, model: str, alias: str, version: Version, card: Mapping[str, Value]
) -> None:
    """Write what a version is made of, and give it the alias.

    Raises Away, Refused.
    """
    text = json.dumps(card)
    tracker.ask(lambda client: client.set_model_version_tag(model, version.number, CARD, text))
    tracker.ask(lambda client: client.set_registered_model_alias(model, alias, version.number))


def _version(found: Any) -> Version:
    try:
        card = json.loads(dict(found.tags)[CARD])
    except (KeyError, ValueError):
        card = None
    return Version(str(found.version), str(found.run_id or ""), card)
