"""Keep what a search is and what it decided, so that whoever has the store can go on with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from sweep.errors import CorruptPlan
from sweep.plan.document import read_document
from sweep.plan.trial import Value

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Decided:
    """One step of a strategy, for people: why, on what evidence, and what followed."""

    stage: str
    section: int  # of the guide; 0: its conclusion
    guide: str  # the guide's own words
    evidence: Mapping[str, Value]  # numbers; "trials" are places in Story.begun
    decided: str
    begun: int | None = None  # configurations that had begun when it was told


@dataclass(frozen=True, slots=True)
class Begun:
    """One configuration that was begun, and the trials that train it, one a seed."""

    point: Mapping[str, Value]  # key to value, as far as it is searched
    trials: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a search is, from its beginning to its end: search.json, written once."""

    strategy: str
    space: Mapping[str, Value]  # axes, branches, fixed: as search/written.py writes a space
    options: Mapping[str, Value] = field(default_factory=dict)  # of hydra.sweeper: what it may use
    start: Mapping[str, Value] = field(default_factory=dict)  # where nothing is searched
    first: tuple[Mapping[str, Value], ...] = ()  # configurations that are tried first
    fixed: tuple[str, ...] = ()  # overrides that every trial has
    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # key, value: as typed
    seed_key: str = "train.seed"
    seeds: tuple[Value, ...] = ()  # of each configuration; empty: the configuration's own
    batch: int = 1  # configurations that are asked for at a time; 0: one as each trial ends
    hydra: Mapping[str, Any] = field(default_factory=dict)  # what configurations compose from


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """How far a search is: story.json, written anew before each round and at the end.

    Configurations whose trials stand in no round were about to begin when the client ended.
    """

    begun: tuple[Begun, ...] = ()  # in the order in which they began
    decisions: tuple[Decided, ...] = ()
    elapsed_s: float = 0.0  # that clients have searched, all together
    limits: Mapping[str, Value] = field(default_factory=dict)  # max_trials, max_time_s: set since
    ended: str = ""  # why nothing new begins any more; empty: the search goes on

    def telling(self, decisions: Sequence[Decided]) -> Story:
        """Take in what a strategy decided so far; what was told before keeps its place."""
        known = len(self.decisions)
        fresh = [replace(item, begun=len(self.begun)) for item in decisions[known:]]
        return replace(self, decisions=(*self.decisions, *fresh))


def search_to_bytes(search: Search) -> bytes:
    """Write search.json."""
    return _dump(asdict(search))


def search_from_bytes(data: bytes, *, where: str) -> Search:
    """Read search.json.

    Raises CorruptPlan, naming `where`.
    """
    body = read_document(data, where=where, expected=FORMAT)
    try:
        values = _known(Search, body)
        for key in ("first", "fixed", "seeds"):
            values[key] = tuple(values.get(key, ()))
        return Search(**values)
    except TypeError as error:
        raise CorruptPlan(f"{where}: not a search ({error}); restore the file") from None


def story_to_bytes(story: Story) -> bytes:
    """Write story.json."""
    return _dump(asdict(story))


def story_from_bytes(data: bytes, *, where: str) -> Story:
    """Read story.json.

    Raises CorruptPlan, naming `where`.
    """
    body = read_document(data, where=where, expected=FORMAT)
    try:
        values = _known(Story, body)
        values["begun"] = tuple(
            Begun(item["point"], tuple(item["trials"])) for item in values.get("begun", ())
        )
        values["decisions"] = tuple(
            Decided(**_known(Decided, item)) for item in values.get("decisions", ())
        )
        return Story(**values)
    except (TypeError, KeyError, AttributeError) as error:
        raise CorruptPlan(f"{where}: not a search's story ({error!r}); restore the file") from None


def _known(kind: type[Search | Story | Decided], body: Mapping[str, Value]) -> dict[str, Value]:
    names = {f.name for f in fields(kind)}
    return {key: value for key, value in body.items() if key in names}


def _dump(body: Mapping[str, Value]) -> bytes:
    text = json.dumps({"format": FORMAT, **body}, ensure_ascii=False, separators=(",", ":"))
    return text.encode()
