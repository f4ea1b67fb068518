"""Hold what the store tells of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.plan.facets import Flat
from sweep.plan.round import Base, Round, Study, all_trials
from sweep.plan.trial import Record, Trial
from sweep.report.leaderboard import Leaderboard, rank
from sweep.schema import flatten
from sweep.store import Store
from sweep.study.reading import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Studied:
    """A study with all its rounds, as far as records tell."""

    place: Store
    study: Study
    bases: Sequence[Base]
    trials: Sequence[Trial]
    reader: Reader

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
        )


def studied(place: Store, study: Study, rounds: Sequence[Round]) -> Studied:
    """Read all records of a study."""
    bases, trials = all_trials(rounds)
    reader = Reader(place, {key: size for r in rounds for key, size in r.fences.items()})
    reader.look()
    return Studied(place=place, study=study, bases=bases, trials=trials, reader=reader)
