"""Write a report as Markdown: whole, or as a note of limited length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sweep.report.contents import Contents
from sweep.report.formats import show_list
from sweep.report.importance import Importance
from sweep.report.leaderboard import Leaderboard
from sweep.report.origins import rolled_table
from sweep.report.pareto import front_table
from sweep.report.rungs import rung_table
from sweep.report.summary import Summary, headline, reason_lines, verdict
from sweep.report.table import Column, Table, isolation_table, leaderboard_table
from sweep.report.telling import ended, in_short, tell

NOTE_LIMIT = 8000  # characters of an MLflow tag, and so of a note
TOP = 25


def note(summary: Summary, *, limit: int = NOTE_LIMIT) -> str:
    """Write a summary as Markdown of at most `limit` characters.

    What does not fit is left out, the per-value table first and the leaderboard last.
    """
    results = summary.results
    top = _top(summary)
    board = _section("Leaderboard", _table(leaderboard_table(results)))
    chosen = _section("Selection", _list(summary.selection))
    warnings = _section("Warnings", _warnings(summary))
    search = _section("The search", _list(in_short(results)))
    reasons = _section("Not completed", _list(reason_lines(summary.reasons)))
    values = _values(summary)
    links = _links(summary.links)
    # The most wanted first.
    sections = [top, links, board, chosen, warnings, reasons, search, values]
    while len(sections) > 1 and len("\n\n".join(filter(None, sections))) > limit:
        sections.pop()
    order = (top, board, chosen, warnings, search, reasons, values, links)
    return "\n\n".join(part for part in order if part and part in sections)[:limit]


def markdown(contents: Contents) -> str:
    """Write the whole report, without its figures."""
    summary, background = contents.summary, contents.background
    results = summary.results
    board = results.board
    sections = [
        _top(summary),
        _section("Leaderboard", _table(leaderboard_table(results, top=TOP))),
        _section("Selection", _list(summary.selection)),
        _section("Warnings", _warnings(summary)),
        _section("The search", _story(contents)),
        _section("What matters", _importance(contents.importance, board)),
        _values(summary),
        _section("Cost against quality", _fronts(contents, board)),
        _section("Stopped at a rung", _table(rung_table(contents.rungs, board=board))),
        _section("As time goes on", _table(rolled_table(results.rolled)) if results.rolled else ""),
        _section("Not completed", _list(reason_lines(summary.reasons))),
        _section("Repeat it", _repeat(background.winner, background.command, background.facts)),
        _links(background.links),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def _top(summary: Summary) -> str:
    counts, best = _plain(headline(summary.results)), _plain(verdict(summary.results))
    return f"**{_plain(summary.title)}**\n\n{counts}\n\n{best}".rstrip()


def _warnings(summary: Summary) -> str:
    return _list([f"{found.text} {found.remedy}" for found in summary.findings])


def _values(summary: Summary) -> str:
    table = isolation_table(summary.isolated, board=summary.results.board)
    return _section("Best result per value, over all other settings", _table(table))


def _story(contents: Contents) -> str:
    results = contents.summary.results
    lines = []
    for stage in tell(results):
        lines.append(f"**{_plain(stage.name)}**\n")
        for step in stage.steps:
            told = [f"{item.name} {item.score}" for item in step.evidence]
            named = "Evidence" if step.guide else "Best"
            why = f" {named}: {'; '.join(told)}." if told else ""
            numbers = f" ({step.numbers})" if step.numbers else ""
            guide = f" “{step.guide}” ({step.section})" if step.guide else ""
            lines.append(f"- {_plain(f'{step.decided}{numbers}.{guide}{why}')}")
        lines.append("")
    if lines and ended(results):
        lines.append(_plain(f"It ended: {ended(results)}."))
    return "\n".join(lines).rstrip()


def _importance(importance: Importance, board: Leaderboard) -> str:
    rows = [
        (board.names[share.key], f"{share.mean:.0%}", f"{share.sd:.0%}")
        for share in importance.shares
    ]
    rows += [
        (
            show_list([board.names[key] for key in pair.keys])
            + (" together" if pair.clear else " together, which may be chance"),
            f"{pair.mean:.0%}",
            f"{pair.sd:.0%}",
        )
        for pair in importance.pairs
    ]
    if importance.rest is not None:
        rows.append(("the rest, noise included", f"{importance.rest:.0%}", ""))
    columns = (Column("setting", number=False), Column("share of the differences"), Column("±"))
    return _table(Table(columns, tuple(rows), notes=importance.notes)) or _list(importance.notes)


def _fronts(contents: Contents, board: Leaderboard) -> str:
    found = [_table(front_table(prices, board=board)) for prices in contents.prices]
    return "\n\n".join(filter(None, found))


def _repeat(winner: str, study: str, facts: Mapping[str, str]) -> str:
    commands = [
        f"{title}:\n\n```\n{command}\n```"
        for title, command in (("The winner", winner), ("The study", study))
        if command
    ]
    known = "\n".join(f"- {_plain(name)}: {_plain(fact)}" for name, fact in facts.items())
    return "\n\n".join(filter(None, [*commands, known]))


def _links(lines: Sequence[str]) -> str:
    return _section("Links", "\n".join(f"- {line}" for line in lines))


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
