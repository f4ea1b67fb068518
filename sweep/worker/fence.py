"""Find out that an attempt no longer counts, so that its worker stops."""

from __future__ import annotations

import time
from collections.abc import Callable

from sweep.plan import layout
from sweep.store import Store
from sweep.study.reading import read_round
from sweep.worker.notice import ToldToStop

LOOK_EVERY_S = 1.0


class Fenced(ToldToStop):
    """Ends a worker whose pack somebody else has taken over."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Fence:
    """Watch for a newer attempt of the pack, and for a later round that fenced this one."""

    def __init__(
        self,
        store: Store,
        *,
        round_number: int,
        pack: int,
        attempt: int,
        every_s: float = LOOK_EVERY_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._round = round_number
        self._pack = pack
        self._attempt = attempt
        self._every_s = every_s
        self._now = now
        self._next = now() + every_s  # the attempt was claimed just now

    def check(self) -> None:
        """Raise Fenced where the attempt was; asks the store at most once in a while."""
        if self._now() >= self._next:
            self.look()

    def look(self) -> None:
        """Raise Fenced where the attempt was; asks the store."""
        self._next = self._now() + self._every_s
        keys = self._store.sizes(layout.pack_prefix(self._pack))
        newest = max((n for key in keys if (n := layout.attempt_of(key))), default=0)
        if newest > self._attempt:
            raise Fenced(f"fenced by attempt {newest}")
        written = len(self._store.sizes(layout.ROUNDS))
        for number in range(self._round + 1, written + 1):
            if any(map(self._is_own, read_round(self._store, number).fences)):
                raise Fenced(f"fenced by round {number}")
            self._round = number  # a round never changes

    def _is_own(self, key: str) -> bool:
        file = layout.results_of(key)
        return file is not None and (file.pack, file.attempt) == (self._pack, self._attempt)
