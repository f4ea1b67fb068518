"""Say at which epochs trials are compared, in a round whose workers decide what to train next."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

from sweep.plan.trial import Failure, Record, State, Value

RUNGS = "rungs/"
_KEY = re.compile(r"rungs/(\d+)-(\d+)-(claim|at|end|lost)(?:-(.+))?")
_PRUNED = re.compile(r"rungs/pruned-(\d+)-(\d+)-(\d+)")

LATE = Failure("Stopped", "the search's time was over before this trial began")

Step = tuple[int, int]  # a trial, and the rung that it is on its way to, or stands at


@dataclass(frozen=True, slots=True, kw_only=True)
class Rungs:
    """The brackets of a search by halving, and the configurations that climb."""

    brackets: tuple[tuple[int, ...], ...]  # epochs of the rungs; the last is the whole training
    factor: int
    units: tuple[tuple[int, ...], ...]  # trials of each configuration, one a seed
    until: float | None = None  # UTC seconds after which nothing new begins


@dataclass(frozen=True, slots=True)
class Ladder:
    """One bracket of a search by halving, with the configurations that climb it."""

    rungs: tuple[int, ...]  # epochs; the last is the whole training
    factor: int  # of those that reach a rung one in so many goes on
    units: tuple[tuple[int, ...], ...]  # trials of each configuration, one a seed
    name: str = ""  # where there are several


@dataclass(slots=True)
class Marks:
    """What the keys below rungs/ say; objects are written once, and never change."""

    at: dict[Step, float] = field(default_factory=dict)  # rests there; its cost until there
    keys: dict[Step, str] = field(default_factory=dict)  # of the marks of resting trials
    end: dict[int, tuple[int, float]] = field(default_factory=dict)  # is over: the rung, its cost
    lost: set[int] = field(default_factory=set)  # failed
    claims: dict[Step, set[int]] = field(default_factory=dict)  # rounds in which it was claimed
    pruned: list[str] = field(default_factory=list)  # keys of objects that list pruned trials


def rungs_to_json(rungs: Rungs | None) -> dict[str, Value]:
    """Write the rungs of a round; a round without any has no word of them."""
    return {"rungs": asdict(rungs)} if rungs else {}


def rungs_from_json(body: Mapping[str, Value] | None) -> Rungs | None:
    """Read the rungs of a round."""
    if body is None:
        return None
    return Rungs(
        brackets=tuple(tuple(bracket) for bracket in body["brackets"]),
        factor=int(body["factor"]),
        units=tuple(tuple(unit) for unit in body["units"]),
        until=body.get("until"),
    )


def claim_key(trial: int, rung: int, *, round_number: int) -> str:
    """Name the claim to take a trial to a rung: of one round, for workers of older ones ended."""
    return f"{RUNGS}{trial:06d}-{rung}-claim-{round_number}"


def lost_key(trial: int, rung: int) -> str:
    """Name the mark of a trial that failed on its way to a rung."""
    return f"{RUNGS}{trial:06d}-{rung}-lost"


def mark_key(record: Record, *, rung: int, direction: str) -> str:
    """Name the mark of what came of a trial on its way to a rung: costs are told by one listing."""
    if record.state is State.FAILED:
        return lost_key(record.trial, rung)
    kind = "at" if record.state is State.PAUSED else "end"
    return f"{RUNGS}{record.trial:06d}-{rung}-{kind}-{cost_of(record, direction)!r}"


def pruned_key(*, pack: int, attempt: int, number: int) -> str:
    """Name an object that lists trials which a worker found beyond hope."""
    return f"{RUNGS}pruned-{pack:05d}-{attempt}-{number}"


def cost_of(record: Record, direction: str) -> float:
    """Give what a trial is compared by: less is better, inf where it diverged."""
    value = record.objective
    if record.state is State.INFEASIBLE or value is None or not math.isfinite(value):
        return math.inf
    return -value if direction == "maximize" else value


def never_began(record: Record) -> bool:
    """Tell whether a trial was left out because the time of its search was over."""
    error = record.error
    return record.state is State.CANCELLED and error is not None and error.type == LATE.type


def read_marks(keys: Iterable[str]) -> Marks:
    """Read the names of all objects below rungs/."""
    marks = Marks()
    for key in sorted(keys):
        match = _KEY.fullmatch(key)
        if match is None:
            if _PRUNED.fullmatch(key):
                marks.pruned.append(key)
            continue
        trial, rung, kind, word = int(match[1]), int(match[2]), match[3], match[4]
        if kind == "claim":
            marks.claims.setdefault((trial, rung), set()).add(int(word))
        elif kind == "lost":
            marks.lost.add(trial)
        elif kind == "at":
            marks.at[trial, rung] = float(word)
            marks.keys[trial, rung] = key
        else:
            marks.end[trial] = (rung, float(word))
    return marks
