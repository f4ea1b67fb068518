"""Read what a study keeps as one JSON object of a known format."""

from __future__ import annotations

import json
from typing import Any

from sweep.errors import CorruptPlan


def read_document(data: bytes, *, where: str, expected: int) -> dict[str, Any]:
    """Read a JSON object whose `format` is the one expected.

    Raises CorruptPlan, naming `where`.
    """
    try:
        body = json.loads(data)
    except ValueError as error:
        raise CorruptPlan(f"{where}: not JSON ({error}); restore the file") from None
    if not isinstance(body, dict):
        raise CorruptPlan(f"{where}: not a JSON object; restore the file")
    if body.get("format") != expected:
        raise CorruptPlan(
            f"{where}: format {body.get('format')!r}, this version reads format {expected}; "
            "use the version of sweep that wrote it"
        )
    return body
