"""Hold what a report tells of a study beside its results: where it comes from, how it repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sweep.plan.trial import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """Where a study comes from, and the commands that go on from it."""

    study: str
    created: float = 0.0  # UTC seconds since 1970
    command: str = ""  # runs the study again
    winner: str = ""  # trains the winning configuration again; empty where nothing completed
    facts: Mapping[str, str] = field(default_factory=dict)  # a name to what is known under it
    grid: Mapping[str, Sequence[Value]] = field(default_factory=dict)  # varied key to its values
    links: Sequence[str] = ()  # lines; addresses of http servers become links
