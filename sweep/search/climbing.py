"""Decide what a free worker trains next, from the marks of a study's rungs alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from sweep.plan.rungs import Ladder, Marks, Rungs, Step
from sweep.search.brackets import bracket_of
from sweep.search.halving import Bracket, Reached, Standing, decided, promotions, pruned


@dataclass(frozen=True, slots=True)
class Climb:
    """One trial's way to the end of a rung."""

    trial: int
    rung: int
    epochs: int  # at whose end it rests, unless it is over there


@dataclass(frozen=True, slots=True)
class Picture:
    """The rungs of a study as a worker of one round sees them at one moment."""

    rungs: Rungs
    marks: Marks
    round_number: int
    late: bool = False  # nothing new begins any more
    settled: frozenset[int] = frozenset()  # trials that rest for good, whoever comes after them

    def open_climbs(self) -> Iterator[Climb]:
        """List what may be claimed: promotions, the highest rung first; then new trials.

        A configuration goes on with all its seeds, so each of them is a climb.
        """
        for number in range(len(self.rungs.brackets)):
            bracket, units = self._bracket(number), self._units(number)
            standing = self._standing(number)
            for unit, rung in promotions(standing, bracket=bracket):
                yield from self._unclaimed(self.rungs.units[units[unit]], rung + 1, bracket)
            found = self._champion(standing, bracket)
            if found is not None and not standing.coming and not self._others_climb(number, found):
                unit, rung = found
                yield from self._unclaimed(self.rungs.units[units[unit]], rung + 1, bracket)
        if not self.late:
            for place, trials in enumerate(self.rungs.units):
                bracket = self._bracket(self._bracket_of(place))
                yield from self._unclaimed(trials, 0, bracket)

    def hopeless(self) -> list[Step]:
        """List the resting trials that nothing can promote any more, with their rung."""
        found: list[Step] = []
        for number in range(len(self.rungs.brackets)):
            units, bracket = self._units(number), self._bracket(number)
            standing = self._standing(number)
            champion = self._champion(standing, bracket)
            for place in pruned(standing, bracket=bracket):
                if place != champion:
                    found += self._resting(self.rungs.units[units[place[0]]], place[1])
        for trials in self.rungs.units:
            if self._lost(trials):  # a mean without one of its seeds is none
                for rung in range(max(map(len, self.rungs.brackets))):
                    found += self._resting(trials, rung)
        return list(dict.fromkeys(found))

    def _champion(self, standing: Standing, bracket: Bracket) -> Step | None:
        """Find the best of a bracket of which none was trained to its end yet.

        Few trials may leave less than one in `factor` for the last rung; the best climbs on all the
        same once nobody else can, so that a search always ends with a result.
        """
        finite = [
            item
            for item in standing.reached
            if math.isfinite(item.cost) and item.trial not in standing.lost
        ]
        if not finite or max(item.rung for item in finite) == bracket.last:
            return None
        best = min(finite, key=lambda item: (-item.rung, item.cost, item.trial))
        return best.trial, best.rung

    def _others_climb(self, number: int, champion: Step) -> bool:
        own = self.rungs.units[self._units(number)[champion[0]]]
        climbing = {trial for trial, _ in self.under_way()}
        return any(
            trial in climbing
            for place in self._units(number)
            for trial in self.rungs.units[place]
            if trial not in own
        )

    def unbegun(self) -> list[int]:
        """List the trials that nobody has claimed."""
        return [
            trial
            for trials in self.rungs.units
            for trial in trials
            if not self._claimed(trial, 0) and not self._over(trial)
        ]

    def under_way(self) -> list[Step]:
        """List the claims of this round that have come to nothing yet."""
        return [
            (trial, rung)
            for (trial, rung), rounds in sorted(self.marks.claims.items())
            if self.round_number in rounds
            and (trial, rung) not in self.marks.at
            and not self._over(trial)
        ]

    def epochs(self, trial: int, rung: int) -> int:
        """Give the epoch at whose end a trial reaches a rung."""
        place = next(i for i, trials in enumerate(self.rungs.units) if trial in trials)
        return self.rungs.brackets[self._bracket_of(place)][rung]

    def _unclaimed(self, trials: tuple[int, ...], rung: int, bracket: Bracket) -> Iterator[Climb]:
        for trial in trials:
            if not self._claimed(trial, rung) and not self._over(trial):
                yield Climb(trial, rung, bracket.rungs[rung])

    def _resting(self, trials: tuple[int, ...], rung: int) -> list[Step]:
        return [
            (trial, rung)
            for trial in trials
            if (trial, rung) in self.marks.at
            and not self._over(trial)
            and not self._claimed(trial, rung + 1)
        ]

    def _standing(self, number: int) -> Standing:
        """Bring the units of a bracket into the form of the paper's rule."""
        bracket, units = self._bracket(number), self._units(number)
        reached: list[Reached] = []
        claimed: list[tuple[int, int]] = []
        lost = frozenset(i for i, place in enumerate(units) if self._lost(self.rungs.units[place]))
        first: set[int] = set()
        coming = 0
        for rung in range(len(bracket.rungs)):
            for unit, place in enumerate(units):
                trials = self.rungs.units[place]
                cost = self._cost(trials, rung)
                if cost is not None:
                    reached.append(Reached(unit, rung, cost))
                    first |= {unit} if rung == 0 else set()
                if all(self._claimed(t, rung + 1) or self._over(t) for t in trials):
                    claimed.append((unit, rung))
        for unit, place in enumerate(units):
            if unit not in first and unit not in lost:
                begun = any(self._claimed(trial, 0) for trial in self.rungs.units[place])
                coming += begun or not self.late
        return Standing(tuple(reached), tuple(claimed), lost, coming)

    def _cost(self, trials: tuple[int, ...], rung: int) -> float | None:
        costs: dict[tuple[int, int], float] = {}
        for seed, trial in enumerate(trials):
            found = self.marks.at.get((trial, rung))
            ended = self.marks.end.get(trial)
            if found is None and ended is not None and self._counts(ended, rung):
                found = ended[1]
            if found is not None:
                costs[0, seed] = found
        return decided(costs, folds=len(trials)).get(0)

    def _counts(self, ended: tuple[int, float], rung: int) -> bool:
        # The curve of a trial that ended early would not change; one that diverged has none.
        return rung == ended[0] or (rung > ended[0] and math.isfinite(ended[1]))

    def _claimed(self, trial: int, rung: int) -> bool:
        # A mark is as good as a claim; claims of earlier rounds are void, for their workers ended.
        if (trial, rung) in self.marks.at:
            return True
        return self.round_number in self.marks.claims.get((trial, rung), ())

    def _over(self, trial: int) -> bool:
        return trial in self.marks.end or self._stays_behind(trial)

    def _lost(self, trials: tuple[int, ...]) -> bool:
        return any(map(self._stays_behind, trials))

    def _stays_behind(self, trial: int) -> bool:
        return trial in self.marks.lost or trial in self.settled

    def _bracket(self, number: int) -> Bracket:
        return Bracket(self.rungs.brackets[number], self.rungs.factor)

    def _bracket_of(self, place: int) -> int:
        return _shares(self.rungs.brackets, self.rungs.factor, len(self.rungs.units))[place]

    def _units(self, number: int) -> list[int]:
        return [p for p in range(len(self.rungs.units)) if self._bracket_of(p) == number]


def ladders(rungs: Rungs) -> tuple[Ladder, ...]:
    """Say which configurations climb which bracket; a bracket that none climbs is left out."""
    units: list[list[tuple[int, ...]]] = [[] for _ in rungs.brackets]
    places = _shares(rungs.brackets, rungs.factor, len(rungs.units))
    for place, unit in zip(places, rungs.units, strict=True):
        units[place].append(unit)
    several = len(rungs.brackets) > 1
    return tuple(
        Ladder(own, rungs.factor, tuple(climb), f"bracket {number}" if several else "")
        for number, (own, climb) in enumerate(zip(rungs.brackets, units, strict=True), start=1)
        if climb
    )


@cache
def _shares(brackets: tuple[tuple[int, ...], ...], factor: int, units: int) -> list[int]:
    ladder = [Bracket(rungs, factor) for rungs in brackets]
    return [bracket_of(place, ladder) for place in range(units)]
