"""Where packs run: one small protocol, and one room a place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from sweep.plan.budget import Budget, Spent

if TYPE_CHECKING:
    from sweep.plan.application import Tree
    from sweep.plan.exits import Verdict


class Stage(Enum):
    """What happened to a pack."""

    STARTED = "started"
    ENDED = "ended"
    NOTE = "note"  # nothing changed, but a person should know


@dataclass(frozen=True, slots=True)
class PackEvent:
    """One thing that happened, in words that a person may read."""

    pack: int | None  # None: of the round as a whole
    stage: Stage
    text: str = ""
    verdict: Verdict | None = None  # once it ended
    code: int | None = None  # exit code, or minus the signal, once it ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One round, as a cluster needs to know it."""

    store: str  # address
    study: str
    round: int
    round_hash: str
    packs: Sequence[int]
    task: str
    tracking: str  # MLflow's address, empty where there is none
    code: str  # hash of the bundle that workers run, empty where it is the image's
    max_attempts: int  # counted ends of one pack before it is given up
    fused: frozenset[int] = frozenset()  # packs whose trials are trained at once
    budget: Budget = field(default_factory=Budget)  # of the study
    spent: Spent = field(default_factory=Spent)  # by earlier rounds


class Cluster(Protocol):
    """Runs the packs of one round, each by `python -m sweep.worker` or its like."""

    lasting: bool
    """What it runs goes on without this client."""

    def submit(self, work: Work) -> None:
        """Take a round in; the same round twice is taken once."""

    def adopt(self, work: Work) -> bool:
        """Follow a round that is under way already; tell whether there is one."""

    def observe(self, timeout_s: float) -> list[PackEvent]:
        """Wait for news, at most `timeout_s`, and return it in order."""

    @property
    def finished(self) -> bool:
        """Tell whether no pack runs or waits any more."""

    def stop(self, grace_s: float) -> None:
        """End what runs: ask first, kill after the grace; nothing waits afterwards."""

    def remove(self) -> None:
        """Clear away a round that is over but for packs that were lost with their nodes."""


@runtime_checkable
class Warm(Protocol):
    """A cluster that keeps a process at hand which has imported what trials need."""

    def expect(self, task: str) -> None:
        """Begin to import what a task needs, while its plan is still being made."""

    def stop(self, grace_s: float) -> None:
        """End what was begun."""

    def crown(self, trees: Mapping[int, Tree], *, meanwhile: Callable[[], None]) -> str:
        """Have trials, given resolved, scored on the test part; return what was said of it.

        The outcome is in the store, or is not there: then the caller has to do it. This process
        does what is to be done `meanwhile`.
        """
