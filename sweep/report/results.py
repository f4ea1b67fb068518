"""Hold what a study came to: all that its report is drawn from."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sweep.plan.budget import Spent
from sweep.plan.rungs import Ladder
from sweep.plan.story import Story
from sweep.plan.trial import Record, Value
from sweep.report.baselines import Baseline
from sweep.report.leaderboard import SEED, Leaderboard
from sweep.report.resampling import Resampled
from sweep.report.rolled import Rolled


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """A study's leaderboard, and what stands beside it."""

    board: Leaderboard
    records: Mapping[int, Record]
    baselines: Sequence[Baseline] = ()  # the best first
    test: Mapping[Value, float] = field(default_factory=dict)  # the winner's test score by seed
    together: tuple[int, float] | None = None  # seeds that were joined, and their test score
    versus: Mapping[str, Resampled] = field(default_factory=dict)  # winner less baseline, on test
    seed: str = SEED
    spent: Spent = field(default_factory=Spent)  # by all attempts, lost ones included
    strategy: str = "grid"  # what chose the trials
    story: Story | None = None  # what it decided, where it decided anything
    ladders: Sequence[Ladder] = ()  # that trials climbed, in a search by halving
    rolled: Rolled | None = None  # what a backtest came to, where there was one
    notes: Sequence[str] = ()  # what the data cannot tell, whatever is tried

    @property
    def taken(self) -> int:
        """Count the trials that another study had trained already."""
        return sum(record.reused_from is not None for record in self.records.values())

    @property
    def test_mean(self) -> float | None:
        """Give the winner's mean test score over its seeds."""
        return statistics.fmean(self.test.values()) if self.test else None

    @property
    def test_sd(self) -> float | None:
        """Give the sample standard deviation of the winner's test score, from two seeds on."""
        return statistics.stdev(self.test.values()) if len(self.test) > 1 else None
