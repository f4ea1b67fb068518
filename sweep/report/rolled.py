"""Read what a backtest came to: a configuration trained anew at later and later origins."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

NETWORK = "network"  # that the other scores, of baselines, stand beside


@dataclass(frozen=True, slots=True)
class Rolled:
    """The scores at each origin, and the error at each step ahead over all origins."""

    metric: str
    known: tuple[int, ...]  # rows before each origin
    tested: tuple[int, ...]  # rows after it, up to the next
    scores: Mapping[str, tuple[float | None, ...]]  # by name, one an origin; None: it diverged
    by_step: tuple[float, ...]  # mean squared error; empty where each diverged
    trial: int | None = None  # whose configuration was rolled


def read_rolled(body: bytes) -> Rolled | None:
    """Read backtest.json; None where it is none."""
    try:
        found = json.loads(body)
        origins = found["origins"]
        names = list(origins[0]["scores"])
        return Rolled(
            metric=str(found["metric"]),
            known=tuple(int(origin["known"]) for origin in origins),
            tested=tuple(int(origin["tested"]) for origin in origins),
            scores={n: tuple(_finite(origin["scores"][n]) for origin in origins) for n in names},
            by_step=tuple(float(value) for value in found["by_step"]),
            trial=found.get("trial"),
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
