"""Tell the time so that it never goes back within a process, whatever is done to its clock."""

from __future__ import annotations

import time


class Clock:
    """UTC seconds at the start, and the seconds that truly passed since."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Give UTC seconds since 1970."""
        return self._offset + time.monotonic()


CLOCK = Clock()
