"""One tree of errors, so that a door can turn each into one line and an exit code.

SweepError                    anything that this project raises on purpose
├── BadInput          (2)     a person's mistake: what, where, what to do; nothing was started
│   ├── UnknownName   (2)     a key, choice, study or verb that does not exist; names the nearest
│   └── CorruptPlan   (2)     a stored study or round cannot be read; names its path
├── Busy              (2)     another conductor holds the study's lease; names it
├── Unreachable       (3)     cluster or store cannot be reached
├── StoreLost         (3)     the store went away, or is full, while the study ran
├── Regression        (4)     the gate found a regression
├── Detached          (75)    the study goes on without this client
└── Interrupted       (130)   a person pressed Ctrl-C
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SweepError(Exception):
    """Carry one line for a person and the exit code of the command."""

    exit_code = 1


class BadInput(SweepError):
    """Tell a person which input is wrong, where it stands, and what to write instead."""

    exit_code = 2


class UnknownName(BadInput):
    """Tell that a name does not exist, and the nearest that do."""

    def __init__(self, what: str, name: str, known: Iterable[str], *, hint: str = "") -> None:
        self.name = name
        super().__init__(f"{what} '{name}' does not exist; {nearest(name, known)}{hint}")


class CorruptPlan(BadInput):
    """Tell that a stored study or round cannot be read."""


class Busy(BadInput):
    """Tell who else is conducting the study."""


class Unreachable(SweepError):
    """Tell that a cluster or store cannot be reached."""

    exit_code = 3


class StoreLost(Unreachable):
    """Tell that the store went away, or is full, while the study ran."""


class Regression(SweepError):
    """Tell that the gate found a regression."""

    exit_code = 4


class Detached(SweepError):
    """Tell that the study goes on without this client."""

    exit_code = 75


class Interrupted(SweepError):
    """Tell that a person interrupted the client."""

    exit_code = 130


def nearest(name: str, known: Iterable[str], *, most: int = 3) -> str:
    """Name the known words that look most like `name`, or the first few where none does."""
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=most, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(close) + "?"
    if not names:
        return "there is none yet"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"there are: {shown}"
