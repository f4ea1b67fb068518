"""Wait for what a cluster will do, and say what it did instead."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from testbed.errors import BedError

POLL_S = 0.1
MOST_SAID = 3000  # characters of a value that never held
T = TypeVar("T")


def until(read: Callable[[], T], *, holds: Callable[[T], object], within_s: float = 30.0) -> T:
    """Read again and again until it holds; return what was read last."""
    end = time.monotonic() + within_s
    while not holds(value := read()):
        if time.monotonic() > end:
            last = str(value)[:MOST_SAID]
            raise BedError(f"not in {within_s:.0f} s; the last was:\n{last}")
        time.sleep(POLL_S)
    return value
