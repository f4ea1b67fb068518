"""Write a summary for other programs: Markdown for notes, CSV for tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from sweep.plan.trial import State, Value
from sweep.report.isolation import has_effect
from sweep.report.leaderboard import Configuration, Leaderboard
from sweep.report.results import Results
from sweep.report.summary import Summary, headline, reason_lines, verdict
from sweep.report.table import ANY, Table, isolation_table, leaderboard_table

NOTE_LIMIT = 8000  # characters of an MLflow tag, and so of a note


def markdown(summary: Summary, *, limit: int = NOTE_LIMIT) -> str:
    """Write a summary as Markdown of at most `limit` characters.

    What does not fit is left out, the per-value table first and the leaderboard last.
    """
    results = summary.results
    counts, best = _plain(headline(results)), _plain(verdict(results))
    top = f"**{_plain(summary.title)}**\n\n{counts}\n\n{best}".rstrip()
    board = _section("Leaderboard", _table(leaderboard_table(results)))
    warnings = _section("Warnings", _list([f"{f.text} {f.remedy}" for f in summary.findings]))
    reasons = _section("Not completed", _list(reason_lines(summary.reasons)))
    values = _section(
        "Best result per value, over all other settings",
        _table(isolation_table(summary.isolated, board=results.board)),
    )
    links = _section("Links", "\n".join(f"- {line}" for line in summary.links))
    sections = [top, links, board, warnings, reasons, values]  # the most wanted first
    while len(sections) > 1 and len("\n\n".join(filter(None, sections))) > limit:
        sections.pop()
    shown = [part for part in (top, board, warnings, reasons, values, links) if part in sections]
    return "\n\n".join(filter(None, shown))[:limit]


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
    rows: list[list[Value]] = [["rank", "baseline", *board.varied, *columns]]
    ranked: list[tuple[int | None, Configuration]] = list(enumerate(board.ranked, start=1))
    unranked: list[tuple[int | None, Configuration]] = [(None, item) for item in board.unranked]
    for rank, item in ranked:
        rows.append(_csv_row(rank, item, results, states))
    for baseline in results.baselines:
        settings = [None] * len(board.varied)
        scores = [baseline.objective, None, None, baseline.test]
        rows.append([None, baseline.name, *settings, *scores, None, *(None for _ in states)])
    for rank, item in unranked:
        rows.append(_csv_row(rank, item, results, states))
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


def _section(title: str, body: str) -> str:
    return f"### {title}\n\n{body}" if body else ""


def _table(table: Table) -> str:
    if not table.rows:
        return ""
    titles = [_plain(column.title) for column in table.columns]
    rules = ["---:" if column.number else ":---" for column in table.columns]
    rows = [[_plain(cell) for cell in row] for row in table.rows]
    for number in table.strong:
        rows[number] = [f"**{cell}**" if cell else "" for cell in rows[number]]
    lines = [f"| {' | '.join(cells)} |" for cells in (titles, rules, *rows)]
    return "\n".join(lines) + "".join(f"\n\n{_plain(note)}" for note in table.notes)


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {_plain(line)}" for line in lines)


def _plain(text: str) -> str:
    """Keep a text from being read as Markdown."""
    for sign in "\\`*|<":
        text = text.replace(sign, f"\\{sign}")
    return text
