"""Builders of studies that ran: grids, records, leaderboards."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sweep.plan.trial import Failure, Record, State, Trial
from sweep.report.baselines import read_baselines
from sweep.report.leaderboard import Leaderboard, rank
from sweep.report.results import Results

Values = Mapping[str, Any]


def make_trials(grid: Mapping[str, Any]) -> list[Trial]:
    """Cross the values of a grid, the last key fastest."""
    crossed = itertools.product(*grid.values())
    return [
        Trial(number, 0, dict(zip(grid, values, strict=True)))
        for number, values in enumerate(crossed)
    ]


def completed(trial: int, objective: float, **more: Any) -> Record:
    return Record(trial, State.COMPLETED, objective, **more)


def diverged(trial: int, **more: Any) -> Record:
    error = Failure("Diverged", "loss is not finite at epoch 3", "lower the learning rate")
    return Record(trial, State.INFEASIBLE, error=error, **more)


def pruned(trial: int, **more: Any) -> Record:
    return Record(trial, State.PRUNED, **more)


def failed(trial: int, text: str = "no memory", **more: Any) -> Record:
    return Record(trial, State.FAILED, error=Failure("MemoryError", text), **more)


def by_trial(*records: Record) -> dict[int, Record]:
    return {record.trial: record for record in records}


def scored(trials: Sequence[Trial], score: Callable[[Values], float]) -> dict[int, Record]:
    """Complete every trial with the score of its values."""
    return by_trial(*(completed(trial.number, score(trial.values)) for trial in trials))


def make_board(trials: Sequence[Trial], records: Mapping[int, Record], **more: Any) -> Leaderboard:
    names = {"objective": "val_mse", "test": "test_mse", **more}
    return rank(trials, bases=[{}], records=records, **names)


def make_results(
    trials: Sequence[Trial],
    records: Mapping[int, Record],
    *,
    baselines: Mapping[str, Mapping[str, float]] | None = None,
    test: Mapping[Any, float] | None = None,
    direction: str = "minimize",
) -> Results:
    board = make_board(trials, records, direction=direction)
    return Results(
        board=board,
        records=records,
        baselines=read_baselines(baselines or {}, board=board),
        test=test or {},
    )
