"""Hear that this process has to end, and see to it that it does."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sweep.errors import BadInput
from sweep.plan.exits import Exit

GRACE = "SWEEP_GRACE_S"
GRACE_S = 30.0  # Kubernetes' own default
RAISED = 0.8  # share of the grace after which whatever is under way is broken off
LEFT = 0.93  # and after which the process leaves, closed or not


class ToldToStop(BaseException):
    """Ends what is under way when this process is told to stop."""

    reason = "told to stop"


class Notice:
    """Know whether this process was told to stop.

    What can stop at a point of its own choice looks at `told`; anything else is broken off, at
    once where it says so by `breakable`, else after a share of the grace.
    """

    def __init__(self, grace_s: float) -> None:
        self.told = False
        self._grace_s = grace_s
        self._breakable = False
        self._late = False

    def listen(self) -> Notice:
        """Hear SIGTERM from now on."""
        signal.signal(signal.SIGALRM, self._alarm)
        signal.signal(signal.SIGTERM, self._hear)
        return self

    def check(self) -> None:
        """Raise ToldToStop where this process was told to stop."""
        if self.told:
            raise ToldToStop

    @contextmanager
    def breakable(self) -> Iterator[None]:
        """Let the signal end what happens within, whatever that is."""
        self._breakable = True
        try:
            self.check()
            yield
        finally:
            self._breakable = False

    def last_words(self) -> None:
        """Say that nothing is left to break off: late, the process leaves at once."""
        self._late = True

    def _hear(self, *_: object) -> None:
        if self.told:  # told twice, it still closes its attempt
            return
        self.told = True
        first, second = RAISED * self._grace_s, (LEFT - RAISED) * self._grace_s
        signal.setitimer(signal.ITIMER_REAL, first, second)
        if self._breakable:
            raise ToldToStop

    def _alarm(self, *_: object) -> None:
        if self._late:
            os._exit(Exit.TOLD_TO_STOP)
        self._late = True
        raise ToldToStop


def seconds(env: Mapping[str, str], name: str, default: float) -> float:
    """Read a length of time from the environment.

    Raises BadInput where it is not a number above 0.
    """
    text = env.get(name)
    try:
        value = float(text) if text else default
    except ValueError:
        value = 0.0
    if not value > 0:
        raise BadInput(f"{name}={text}: must be a number of seconds above 0")
    return value
