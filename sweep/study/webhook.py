"""Tell a verdict to a webhook."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping

from sweep.errors import BadInput
from sweep.plan.trial import Value

ENV = "SWEEP_WEBHOOK"
ANSWER_S = 10.0


def check_webhook(url: str) -> str:
    """Refuse an address that is none of the web's.

    Raises BadInput, without repeating the address: it is often a secret.
    """
    if not url.startswith(("https://", "http://")):
        raise BadInput(f"--webhook, {ENV}: write an address that begins with https:// or http://")
    return url


def send(url: str, body: Mapping[str, Value]) -> str | None:
    """Post JSON; return why it was not taken, None where it was."""
    request = urllib.request.Request(  # noqa: S310  the scheme was checked
        url,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S):  # noqa: S310
            return None
    except (OSError, ValueError) as error:  # URLError is an OSError
        return str(error)
