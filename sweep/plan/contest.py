"""Say which configurations a gate trains against each other, with which fresh seeds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from sweep.errors import CorruptPlan
from sweep.plan.facets import Flat
from sweep.plan.trial import Trial, Value

FORMAT = 1
SILENT = ("tracking.", "gate.", "data.path", "data.sha256", "train.device", "train.backend")


@dataclass(frozen=True, slots=True, kw_only=True)
class Champion:
    """A configuration that tonight's winner has to hold against."""

    name: str  # for people: 'version 3 of jfk', 'study nightly-0412'
    study: str
    trial: int
    config: Mapping[str, Value]  # flat and resolved, without the seed
    scores: Sequence[tuple[Value, float]] = ()  # of its own night: seed and score
    data: Mapping[str, str] = field(default_factory=dict)  # hashes of that night
    code: Mapping[str, Value] = field(default_factory=dict)  # commit and versions of that night


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One configuration of a contest, and its trials."""

    name: str
    trials: tuple[int, ...]  # one a seed, in their order
    seeds: tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """What a gate trains: tonight's winner and its champions, and a champion as it was."""

    winner: Side
    champions: tuple[Champion, ...]
    sides: tuple[Side, ...]  # of the champions, in their order, with the winner's seeds
    again: Side | None = None  # the first champion, with the seeds of its own night
    trials: tuple[Trial, ...]
    notes: tuple[str, ...] = ()  # what a champion was made for that is not tonight's

    @property
    def numbers(self) -> frozenset[int]:
        """Name the trials; they do not compete in the study."""
        return frozenset(trial.number for trial in self.trials)


def seeds_of_a_night(study: str, used: Iterable[Value], number: int) -> tuple[int, ...]:
    """Draw seeds from a study's name, so that each night has others, and a restart the same."""
    first = int(hashlib.sha256(study.encode()).hexdigest()[:7], 16) + 1000
    taken = set(map(str, used))
    return tuple(s for s in range(first, first + number + len(taken)) if str(s) not in taken)[
        :number
    ]


def take_on(
    config: Flat, *, tonight: Flat, question: Sequence[str]
) -> tuple[dict[str, Value], list[str]]:
    """Give the values that make tonight's configuration another; and what cannot be taken on.

    `question` names the settings that say what is asked: data, horizon, loss. Those are tonight's
    for everybody. A name that ends in a dot stands for a whole group.
    """
    values: dict[str, Value] = {}
    asked: list[str] = []
    unknown: list[str] = []
    for key, value in config.items():
        if any(key == name or (name.endswith(".") and key.startswith(name)) for name in question):
            if tonight.get(key) != value and not _silent(key):
                asked.append(f"{key}={value}")
        elif key not in tonight:
            unknown.append(key)
        elif tonight[key] != value:
            values[key] = value
    notes = [f"was made for {', '.join(asked)}; tonight's holds for both"] if asked else []
    if unknown:
        notes.append(f"has settings that tonight's code does not know: {', '.join(unknown)}")
    return values, notes


def _silent(key: str) -> bool:
    return key.startswith(SILENT)


def contest_to_bytes(contest: Contest) -> bytes:
    """Write contest.json."""
    return json.dumps({"format": FORMAT, **asdict(contest)}, default=str).encode()


def contest_from_bytes(data: bytes, *, where: str) -> Contest:
    """Read contest.json.

    Raises CorruptPlan, naming `where`.
    """
    try:
        body = json.loads(data)
        if body["format"] != FORMAT:
            raise CorruptPlan(f"{where}: format {body['format']!r}, this version reads {FORMAT}")
        return Contest(
            winner=_side(body["winner"]),
            champions=tuple(map(_champion, body["champions"])),
            sides=tuple(map(_side, body["sides"])),
            again=_side(body["again"]) if body["again"] else None,
            trials=tuple(
                Trial(item["number"], item["base"], item["values"], item["same_as"])
                for item in body["trials"]
            ),
            notes=tuple(body["notes"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptPlan(f"{where}: not a contest ({error!r}); remove the file") from None


def _champion(body: Mapping[str, Value]) -> Champion:
    return Champion(**{**body, "scores": tuple((seed, score) for seed, score in body["scores"])})


def _side(body: Mapping[str, Value]) -> Side:
    return Side(name=body["name"], trials=tuple(body["trials"]), seeds=tuple(body["seeds"]))
