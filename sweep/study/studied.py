"""Hold what the store tells of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sweep.plan import layout
from sweep.plan.contest import Contest, contest_from_bytes
from sweep.plan.facets import Flat
from sweep.plan.round import Base, Round, Study, all_trials
from sweep.plan.rungs import Ladder
from sweep.plan.selection import Selection, selection_from_bytes
from sweep.plan.trial import Record, Trial
from sweep.report.leaderboard import Leaderboard, rank
from sweep.schema import flatten
from sweep.search.climbing import ladders
from sweep.store import Store
from sweep.study.reading import Reader
from sweep.tracking.info import Purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Studied:
    """A study with all its rounds, as far as records tell."""

    place: Store
    study: Study
    bases: Sequence[Base]
    trials: Sequence[Trial]
    reader: Reader
    selection: Selection | None = None  # what fresh seeds confirm
    aside: frozenset[int] = frozenset()  # trials of a gate, which do not compete
    ladders: tuple[Ladder, ...] = ()  # that trials climb, in a search by halving

    @property
    def records(self) -> Mapping[int, Record]:
        """Give the terminal records by trial."""
        return self.reader.ledger.records

    def flats(self) -> list[Flat]:
        """Flatten the bases."""
        return [flatten(base.config) for base in self.bases]

    def board(self) -> Leaderboard:
        """Rank the configurations."""
        return rank(
            self.trials,
            bases=self.flats(),
            records=self.records,
            direction=self.study.direction,
            objective=self.study.objective,
            test=self.study.test,
            seed=self.study.seed,
            selection=self.selection,
            aside=self.aside,
        )


def studied(place: Store, study: Study, rounds: Sequence[Round]) -> Studied:
    """Read all records of a study."""
    bases, trials = all_trials(rounds)
    reader = Reader(place, {key: size for r in rounds for key, size in r.fences.items()})
    reader.look()
    return Studied(
        place=place,
        study=study,
        bases=bases,
        trials=trials,
        reader=reader,
        selection=read_selection(place),
        aside=contest_trials(place),
        ladders=_ladders(rounds),
    )


def grown(state: Studied, rounds: Sequence[Round]) -> Studied:
    """Take in a round that was added to a study since it was read."""
    bases, trials = all_trials(rounds)
    state.reader.fences = {**state.reader.fences, **rounds[-1].fences}
    return Studied(
        place=state.place,
        study=state.study,
        bases=bases,
        trials=trials,
        reader=state.reader,
        selection=read_selection(state.place),
        aside=contest_trials(state.place),
        ladders=_ladders(rounds),
    )


def regrown(state: Studied, rounds: Sequence[Round]) -> Studied:
    """Take in what was offered to the last round of a study."""
    bases, trials = all_trials(rounds)
    return replace(state, bases=bases, trials=trials)


def read_selection(place: Store) -> Selection | None:
    """Read which configurations of a study fresh seeds confirm; None where none do.

    Raises CorruptPlan.
    """
    try:
        data = place.read(layout.SELECTION)
    except KeyError:
        return None
    return selection_from_bytes(data, where=f"{place.url}/{layout.SELECTION}")


def read_contest(place: Store) -> Contest | None:
    """Read what a gate trains of a study; None before it was asked.

    Raises CorruptPlan.
    """
    try:
        data = place.read(layout.CONTEST)
    except KeyError:
        return None
    return contest_from_bytes(data, where=f"{place.url}/{layout.CONTEST}")


def purposes_of(place: Store) -> dict[int, Purpose]:
    """Tell what trials of a study were trained for, where that was not the search itself.

    It is written down before they are planned. Raises CorruptPlan.
    """
    selection = read_selection(place)
    fresh = [number for item in selection.candidates for number in item.fresh] if selection else []
    purposes: dict[int, Purpose] = dict.fromkeys(fresh, "confirm")
    return purposes | dict.fromkeys(contest_trials(place), "gate")


def contest_trials(place: Store) -> frozenset[int]:
    """Name the trials of a study's gate."""
    contest = read_contest(place)
    return contest.numbers if contest else frozenset()


def _ladders(rounds: Sequence[Round]) -> tuple[Ladder, ...]:
    """Tell the ladders of each round that began to climb, and not what a later one went on with."""
    known: dict[tuple[int, ...], Round] = {}
    for round_ in rounds:
        if round_.rungs is not None:
            known.setdefault(round_.rungs.units[0], round_)
    found = []
    for round_ in known.values():
        assert round_.rungs is not None
        for ladder in ladders(round_.rungs):
            parts = [f"round {round_.number}"] if len(known) > 1 else []
            parts += [ladder.name] if ladder.name else []
            found.append(replace(ladder, name=", ".join(parts)))
    return tuple(found)
