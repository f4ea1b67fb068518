"""Say which trials are trained once more with fresh seeds, so that luck does not choose."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sweep.errors import BadInput, CorruptPlan
from sweep.plan.trial import Trial, Value

FORMAT = 1
_WORDS = re.compile(r"\s*(\d+)\s*[xX*]\s*(\d+)\s*")


@dataclass(frozen=True, slots=True)
class Confirm:
    """How many of the best are trained again, with how many fresh seeds each."""

    best: int
    seeds: int

    @property
    def trials(self) -> int:
        """Count the trainings."""
        return self.best * self.seeds

    def __str__(self) -> str:
        return f"{self.best}x{self.seeds}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One configuration that is confirmed."""

    screened: tuple[int, ...]  # trials that made it one of the best
    fresh: tuple[int, ...]  # trials of the same configuration, one a fresh seed


@dataclass(frozen=True, slots=True)
class Selection:
    """The configurations that are confirmed, all with the same seeds."""

    seeds: tuple[Value, ...]
    candidates: tuple[Candidate, ...]

    @property
    def fresh(self) -> frozenset[int]:
        """Name the trials that decide."""
        return frozenset(number for item in self.candidates for number in item.fresh)


def read_confirm(words: Value) -> Confirm | None:
    """Read `KxN`; None where nothing is to be confirmed.

    One seed chooses better than none; whether the best differ takes more (`report/paired.py`).
    Raises BadInput for another form, for fewer than two configurations, for no seed.
    """
    if words is None:
        return None
    match = _WORDS.fullmatch(str(words))
    if not match:
        raise BadInput(
            f"hydra.sweeper.confirm={words}: write KxN, such as 3x5: the best 3 again with 5 fresh "
            "seeds each"
        )
    found = Confirm(int(match[1]), int(match[2]))
    if found.best < 2:
        raise BadInput(f"hydra.sweeper.confirm={words}: one alone has no rival; name at least 2")
    if found.seeds < 1:
        raise BadInput(f"hydra.sweeper.confirm={words}: no seed decides nothing; give at least 1")
    return found


def fresh_seeds(used: Iterable[Value], number: int, *, first: int = 0) -> tuple[int, ...]:
    """Take the smallest whole numbers from `first` on that were not used."""
    taken = set(map(str, used))
    free = (seed for seed in itertools.count(first) if str(seed) not in taken)
    return tuple(itertools.islice(free, number))


def with_seeds(trial: Trial, *, key: str, seeds: Sequence[Value], first_number: int) -> list[Trial]:
    """Make the same trial once a seed, numbered from `first_number` on."""
    return [
        Trial(first_number + place, trial.base, {**trial.values, key: seed})
        for place, seed in enumerate(seeds)
    ]


def select(
    best: Sequence[Collection[int]], *, seeds: Sequence[Value], first_number: int
) -> Selection:
    """Give numbers to the trials that confirm some configurations, each named by its own."""
    candidates = [
        Candidate(
            tuple(sorted(screened)),
            tuple(range(first := first_number + place * len(seeds), first + len(seeds))),
        )
        for place, screened in enumerate(best)
    ]
    return Selection(tuple(seeds), tuple(candidates))


def selection_to_bytes(selection: Selection) -> bytes:
    """Write selection.json."""
    body = {
        "format": FORMAT,
        "seeds": list(selection.seeds),
        "candidates": [
            {"screened": list(item.screened), "fresh": list(item.fresh)}
            for item in selection.candidates
        ],
    }
    return json.dumps(body).encode()


def selection_from_bytes(data: bytes, *, where: str) -> Selection:
    """Read selection.json.

    Raises CorruptPlan, naming `where`.
    """
    try:
        body = json.loads(data)
        if body["format"] != FORMAT:
            raise CorruptPlan(f"{where}: format {body['format']!r}, this version reads {FORMAT}")
        candidates = [
            Candidate(tuple(item["screened"]), tuple(item["fresh"])) for item in body["candidates"]
        ]
        return Selection(tuple(body["seeds"]), tuple(candidates))
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptPlan(f"{where}: not a selection ({error!r}); restore the file") from None
