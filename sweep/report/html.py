"""Write a study's report as one HTML file that opens anywhere, without a network."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from sweep.errors import BadInput
from sweep.plan.trial import State, Value
from sweep.report.background import Background
from sweep.report.drawing import colors
from sweep.report.drawing.learning import learning_curves
from sweep.report.drawing.parallel import one_in, parallel_coordinates
from sweep.report.drawing.spending import cost_against_quality
from sweep.report.drawing.values import MOST, isolation_plots
from sweep.report.formats import count, decimals, show_score, show_span, show_spread, show_value
from sweep.report.importance import EXTRA, Importance, find_importance
from sweep.report.isolation import Isolated
from sweep.report.leaderboard import Leaderboard
from sweep.report.results import Results
from sweep.report.summary import Summary, headline, verdict
from sweep.report.table import Table, isolation_table, leaderboard_table

TOP = 25  # configurations in the leaderboard; all are in leaderboard.csv
MOST_REASONS = 20
TEMPLATE = "report.html.j2"
_ADDRESS = re.compile(r"https?://[^\s,]+")


def can_write() -> bool:
    """Tell whether the libraries are there without which no report can be written."""
    return find_spec("jinja2") is not None


def import_libraries() -> None:
    """Import what a report is drawn with, where it is installed: for a time when one waits."""
    for name in ("jinja2", "matplotlib.figure", "matplotlib.backends.backend_svg"):
        if find_spec(name.partition(".")[0]) is not None:
            import_module(name)


def html(summary: Summary, *, background: Background) -> str:
    """Write the report of a study; the same results give the same bytes.

    Raises BadInput where jinja2 is not installed. Without matplotlib or Optuna their sections say
    what to install.
    """
    if not can_write():
        raise BadInput(f"a report needs jinja2, which is not installed; {EXTRA} adds it")
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("sweep.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template(TEMPLATE).render(_content(summary, background))


def _content(summary: Summary, background: Background) -> dict[str, Any]:
    results = summary.results
    board = results.board
    return {
        "title": summary.title,
        "background": background,
        "started": _moment(background.created),
        "headline": headline(results),
        "verdict": verdict(results).replace("+/-", "±"),
        "figures_of_merit": _key_figures(results),
        "board": board,
        "leaderboard": _scores_first(leaderboard_table(results, top=TOP, brief=True), board),
        "findings": summary.findings,
        "importance": _bars(find_importance(board), board),
        "isolation": isolation_table(_of_few_values(summary.isolated, board), board=board),
        "figures": _figures(summary),
        "reasons": summary.reasons[:MOST_REASONS],
        "more_reasons": max(0, len(summary.reasons) - MOST_REASONS),
        "links": [_pieces(line) for line in background.links],
        "grid": {key: _listed(own) for key, own in background.grid.items()},
        "better": "lower" if board.direction == "minimize" else "higher",
        "colors": colors,
        "every": one_in(board),
        "extra": EXTRA,
    }


def _scores_first(table: Table, board: Leaderboard) -> Table:
    """Move the scores before the settings, so that a phone shows them."""
    titles = [column.title for column in table.columns]
    at = max(i for i, title in enumerate(titles) if title == board.objective)

    def moved(cells: Sequence[Any]) -> tuple[Any, ...]:
        return (cells[0], *cells[at:], *cells[1:at])

    return replace(table, columns=moved(table.columns), rows=tuple(map(moved, table.rows)))


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """A number to be seen first, and what it is."""

    name: str
    number: str
    beside: str = ""


def _key_figures(results: Results) -> list[KeyFigure]:
    board, best = results.board, results.board.best
    records = results.records.values()
    places = decimals(best.mean if best else None)
    found = [KeyFigure("completed", f"{board.counts.get(State.COMPLETED, 0):,}", _of(board))]
    if best:
        found.append(_scored(f"best {board.objective}", best.mean, best.sd, places))
    if results.test:
        name = f"its {board.test}"
        found.append(_scored(name, results.test_mean, results.test_sd, places))
    for item in results.baselines[:1]:
        score = show_score(item.objective, places=places)
        beside = "" if item.test is None else f"{board.test} {show_score(item.test, places=places)}"
        found.append(KeyFigure(f"{item.name} (no network)", score, beside))
    seconds = sum(record.cpu_seconds for record in records)
    if seconds:
        each = show_span(seconds / len(records)) if seconds >= len(records) else "under 1 s"
        found.append(KeyFigure("CPU time", show_span(seconds), f"{each} a trial"))
    return found


def _of(board: Leaderboard) -> str:
    total = sum(board.counts.values())
    return f"of {count(total, 'trial')}"


def _scored(name: str, mean: float | None, sd: float | None, places: int) -> KeyFigure:
    beside = "" if sd is None else f"± {show_spread(sd, places=places)} over seeds"
    return KeyFigure(name, show_score(mean, places=places), beside)


@dataclass(frozen=True, slots=True)
class Bar:
    """One setting's share, in per cent."""

    name: str
    share: float
    sd: float
    beside: str


def _bars(importance: Importance, board: Leaderboard) -> dict[str, Any]:
    ranked = len(board.ranked)
    bars = [
        Bar(
            board.names[share.key],
            100 * share.mean,
            100 * share.sd,
            "" if share.among == ranked else f"among the {share.among:,} that have it",
        )
        for share in importance.shares
    ]
    interplay = None if importance.interplay is None else 100 * importance.interplay
    return {"bars": bars, "interplay": interplay, "notes": importance.notes}


def _figures(summary: Summary) -> Mapping[str, Any] | None:
    """Draw all figures, marked as safe to stand in the page; None without matplotlib."""
    if find_spec("matplotlib") is None:
        return None
    from markupsafe import Markup

    def safe(svg: str) -> Markup:
        return Markup(svg)  # noqa: S704  written by matplotlib, which escapes what it is given

    results, board = summary.results, summary.results.board
    found = learning_curves(board, records=results.records)
    curves = {
        "curves": [(one.caption, safe(one.svg)) for one in found],
        "curves_of_lost": any(one.lost for one in found),
    }
    if not board.ranked:
        return curves
    plots = isolation_plots(summary.isolated, board=board)
    return {
        "isolation": [(board.names[plot.key], safe(plot.svg)) for plot in plots],
        "parallel": [safe(parallel_coordinates(board, stacked=s)) for s in (False, True)]
        if board.varied and len(board.ranked) > 1
        else [],
        "spending": [safe(_spending(results, narrow=narrow)) for narrow in (False, True)],
        **curves,
    }


def _of_few_values(rows: Sequence[Isolated], board: Leaderboard) -> list[Isolated]:
    return [row for row in rows if len(board.varied[row.key]) <= MOST]


def _listed(values: Sequence[Value]) -> str:
    shown = ", ".join(map(show_value, values[:MOST]))
    return shown if len(values) <= MOST else f"{shown}, ... ({len(values):,} values)"


def _spending(results: Results, *, narrow: bool) -> str:
    return cost_against_quality(
        results.board, records=results.records, baselines=results.baselines, narrow=narrow
    )


def _pieces(line: str) -> list[tuple[str, bool]]:
    """Cut a line into its addresses, which are True, and what stands between them."""
    pieces: list[tuple[str, bool]] = []
    end = 0
    for match in _ADDRESS.finditer(line):
        pieces += [(line[end : match.start()], False), (match[0], True)]
        end = match.end()
    return [piece for piece in [*pieces, (line[end:], False)] if piece[0]]


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds)) if seconds else ""
