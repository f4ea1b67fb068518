"""Hold a study's lease, also after a conductor that died without giving it back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console

from sweep.errors import Busy
from sweep.plan import layout
from sweep.store import Store
from sweep.study.going_on import who

LOOK_EVERY_S = 2.0
FORGOTTEN_S = 90.0  # by then a dead holder's lease is free on any store


@contextmanager
def held(place: Store, *, console: Console) -> Iterator[None]:
    """Hold the lease while the context lasts; wait for it where its holder gives no sign of life.

    Raises Busy as soon as the holder is seen to renew it.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(place.hold(layout.LEASE, who()))
        except Busy as busy:
            console.print(f"{busy}; looking whether it lives", soft_wrap=True, markup=False)
            _wait(place, stack, busy)
        yield


def _wait(place: Store, stack: ExitStack, busy: Busy) -> None:
    before = _lease(place)
    until = time.monotonic() + FORGOTTEN_S
    while time.monotonic() < until:
        time.sleep(LOOK_EVERY_S)
        if _lease(place) != before or place.url.startswith("file://"):
            raise busy  # renewed, or a lock of the system's, which no dead process keeps
        try:
            stack.enter_context(place.hold(layout.LEASE, who()))
        except Busy:
            continue
        return
    raise busy


def _lease(place: Store) -> bytes:
    try:
        return place.read(layout.LEASE)
    except KeyError:
        return b""
