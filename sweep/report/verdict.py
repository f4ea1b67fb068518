"""Judge tonight's winner against the champion by what seeds bear out."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sweep.plan.trial import Value
from sweep.report.formats import decimals, show_score
from sweep.report.paired import MIN_SEEDS, differences, more_often, one_sided

LEVEL = 0.99


class Verdict(StrEnum):
    """What a gate says."""

    FIRST = "first"
    PROMOTED = "promoted"
    NO_DIFFERENCE = "no difference known"
    REGRESSION = "regression"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What one configuration came to: a score a seed, and how many seeds diverged."""

    by_seed: Mapping[Value, float]
    diverged: int = 0

    @property
    def mean(self) -> float | None:
        """Give the mean over the seeds that completed."""
        return statistics.fmean(self.by_seed.values()) if self.by_seed else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One comparison, and what follows from it."""

    name: str
    verdict: Verdict
    text: str
    winner: float | None
    champion: float | None
    worse: float | None  # mean of paired differences; above zero the winner is worse
    low: float | None  # one-sided 99 % bounds of it
    high: float | None
    pairs: int


def compare(
    winner: Scores,
    champion: Scores,
    *,
    name: str,
    against: str,
    direction: str,
    min_effect: float,
    tests: int = 1,
    who: str = "tonight's winner",
) -> Check:
    """Judge a winner against one champion, seed by seed.

    A regression, where the one-sided 99 % bound of how much worse it is lies above `min_effect`,
    or where it diverges more often than chance would have it; promoted, where the other bound lies
    below its negative and it diverges no more often. `tests` made together share the risk.
    Raises BadInput where SciPy is not installed.
    """
    sign = 1 if direction == "minimize" else -1
    gaps = [sign * gap for gap in differences(winner.by_seed, champion.by_seed).values()]
    bounds = one_sided(gaps, level=LEVEL, tests=tests)
    mean = statistics.fmean(gaps) if gaps else None

    def say(verdict: Verdict, text: str) -> Check:
        return Check(
            name=name,
            verdict=verdict,
            text=text,
            winner=winner.mean,
            champion=champion.mean,
            worse=mean,
            low=bounds[0] if bounds else None,
            high=bounds[1] if bounds else None,
            pairs=len(gaps),
        )

    of_winner = len(winner.by_seed) + winner.diverged
    of_champion = len(champion.by_seed) + champion.diverged
    chance = more_often(winner.diverged, of_winner, champion.diverged, of_champion)
    if winner.diverged and chance < (1 - LEVEL) / tests:
        return say(
            Verdict.REGRESSION,
            f"{who} diverged with {winner.diverged} of {of_winner} seeds, {against} with "
            f"{champion.diverged} of {of_champion}",
        )
    if bounds is None:
        return say(
            Verdict.NO_DIFFERENCE,
            f"only {len(gaps)} seeds are left to compare {who} with {against}, {MIN_SEEDS} are "
            "needed",
        )
    low, high = bounds
    places = decimals(mean)
    shown = f"99 % bounds {_signed(low, places)} and {_signed(high, places)}"
    if low > min_effect:
        size = show_score(mean, places=places)
        return say(Verdict.REGRESSION, f"{who} is worse than {against} by {size} ({shown})")
    if high < -min_effect and winner.diverged <= champion.diverged:
        size = show_score(-(mean or 0.0), places=places)
        return say(Verdict.PROMOTED, f"{who} is better than {against} by {size} ({shown})")
    return say(
        Verdict.NO_DIFFERENCE, f"no difference between {who} and {against} is known ({shown})"
    )


def overall(checks: Sequence[Check], *, again: Check | None = None) -> Verdict:
    """Join what was found: worse than one is a regression, better than all a promotion."""
    found = [check.verdict for check in checks]
    if Verdict.REGRESSION in found or (again and again.verdict is Verdict.REGRESSION):
        return Verdict.REGRESSION
    if not found:
        return Verdict.FIRST
    better = all(verdict is Verdict.PROMOTED for verdict in found)
    return Verdict.PROMOTED if better else Verdict.NO_DIFFERENCE


def _signed(value: float, places: int) -> str:
    return f"{value:.{places}f}" if abs(value) >= 10.0**-places or value == 0 else f"{value:.2g}"
