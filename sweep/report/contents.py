"""Gather all that a report tells, once; each format lays it out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sweep.report.background import Background
from sweep.report.equal_epochs import Level, level
from sweep.report.importance import Importance, find_importance
from sweep.report.pareto import Prices, find_prices
from sweep.report.rungs import Rung, find_rungs
from sweep.report.summary import Summary


@dataclass(frozen=True)
class Contents:
    """A study's summary, what was found beside it, and where it comes from."""

    summary: Summary
    background: Background

    @cached_property
    def importance(self) -> Importance:
        """Tell which settings matter; the dearest part, so only for who asks."""
        results = self.summary.results
        return find_importance(results.board, records=results.records, strategy=results.strategy)

    @cached_property
    def prices(self) -> list[Prices]:
        """Tell what quality costs, by every measure that was recorded."""
        results = self.summary.results
        return find_prices(results.board, records=results.records)

    @cached_property
    def level(self) -> Level:
        """Tell what configurations had reached when all of them were still trained."""
        results = self.summary.results
        return level(results.board, records=results.records)

    @cached_property
    def rungs(self) -> list[Rung]:
        """Tell where trials were stopped before their end."""
        results = self.summary.results
        return find_rungs(results.board, records=results.records)
