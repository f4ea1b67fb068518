"""Tell the time so that it never goes back within a process, whatever is done to its clock."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """UTC seconds at the start, and the seconds that truly passed since."""

    def __init__(
        self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._steady = steady
        self._offset = wall() - steady()

    def now(self) -> float:
        """Give UTC seconds since 1970."""
        return self._offset + self._steady()


CLOCK = Clock()
