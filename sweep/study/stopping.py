"""Stop a study from outside."""

from __future__ import annotations

import json

from sweep.clock import CLOCK
from sweep.plan import layout
from sweep.plan.trial import Value
from sweep.store import Store

CANCELLED = "cancelled by a person"


def ask_to_stop(place: Store, reason: str) -> None:
    """Ask everybody who works on a study to stop."""
    body = {"reason": reason, "at": CLOCK.now()}
    place.write(layout.STOP, json.dumps(body).encode())


def asked_to_stop(place: Store) -> str | None:
    """Return why a study is to go no further, None where it is to go on."""
    try:
        body: dict[str, Value] = json.loads(place.read(layout.STOP))
    except KeyError:
        return None
    return str(body.get("reason", CANCELLED))
