"""Write a leaderboard in full as CSV, for other programs."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Sequence

from sweep.plan.trial import State, Value
from sweep.report.isolation import has_effect
from sweep.report.leaderboard import Configuration, Leaderboard
from sweep.report.results import Results
from sweep.report.table import ANY


def csv_text(results: Results) -> str:
    """Write every configuration and baseline as CSV, numbers in full, keys as they are set."""
    sheet = io.StringIO()
    csv.writer(sheet, lineterminator="\n").writerows(csv_rows(results))
    return sheet.getvalue()


def csv_rows(results: Results) -> list[list[Value]]:
    """List a title row, the ranked configurations, the baselines and what was not ranked."""
    board = results.board
    states = [state for state in State if board.counts.get(state)]
    columns = [board.objective, "sd", "seeds", board.test, "trials", *(s.lower() for s in states)]
    confirmed = any(item.confirmed for item in board.ranked)
    if confirmed:  # then the objective of these is that of fresh seeds
        columns.append("in_search")
    rows: list[list[Value]] = [["rank", "baseline", *board.varied, *columns]]
    more = [None] if confirmed else []
    ranked: list[tuple[int | None, Configuration]] = list(enumerate(board.ranked, start=1))
    unranked: list[tuple[int | None, Configuration]] = [(None, item) for item in board.unranked]
    for rank, item in ranked:
        searched = statistics.fmean(item.screened) if item.screened else None
        rows.append([*_csv_row(rank, item, results, states), *([searched] if confirmed else [])])
    for baseline in results.baselines:
        settings = [None] * len(board.varied)
        scores = [baseline.objective, None, None, baseline.test]
        rows.append([None, baseline.name, *settings, *scores, None, *(None for _ in states), *more])
    for rank, item in unranked:
        rows.append([*_csv_row(rank, item, results, states), *more])
    return rows


def _csv_row(
    rank: int | None, item: Configuration, results: Results, states: Sequence[State]
) -> list[Value]:
    board = results.board
    return [
        rank,
        None,
        *(_exact(key, item, board) for key in board.varied),
        item.mean,
        item.sd,
        len(item.scores),
        results.test_mean if rank == 1 else None,
        " ".join(map(str, item.trials)),
        *(item.states.get(state, 0) for state in states),
    ]


def _exact(key: str, item: Configuration, board: Leaderboard) -> Value:
    values = item.values[key]
    if not has_effect(key, item, board):
        return ANY
    return values[0] if len(values) == 1 else "/".join(map(str, values))
