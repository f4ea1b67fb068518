"""Write a study's report as one HTML file that opens anywhere, without a network."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from sweep.errors import BadInput
from sweep.plan.trial import State, Value
from sweep.report.contents import Contents
from sweep.report.drawing import colors
from sweep.report.drawing.canvas import one_dot_in
from sweep.report.drawing.learning import learning_curves, objective_curves, stopped_curves
from sweep.report.drawing.parallel import one_in, parallel_coordinates
from sweep.report.drawing.rolling import error_by_step, scores_by_origin
from sweep.report.drawing.spending import cost_against_quality
from sweep.report.drawing.values import MOST, Plot, isolation_plots
from sweep.report.equal_epochs import at_level
from sweep.report.formats import count, decimals, show_score, show_span, show_spread, show_value
from sweep.report.importance import Importance
from sweep.report.isolation import Isolated, isolate
from sweep.report.leaderboard import Leaderboard
from sweep.report.origins import rolled_table
from sweep.report.pareto import front_table
from sweep.report.results import Results
from sweep.report.rungs import rung_table
from sweep.report.summary import headline, verdict
from sweep.report.table import Table, isolation_table, leaderboard_table
from sweep.report.telling import ended, intro, rolled_name, tell

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

TOP = 25  # configurations in the leaderboard; all are in leaderboard.csv
MOST_REASONS = 20
TEMPLATE = "report.html.j2"
EXTRA = "pip install 'hydra-kubernetes-sweep[report]'"
_ADDRESS = re.compile(r"https?://[^\s,]+")


def can_write() -> bool:
    """Tell whether the library is there without which no report can be written."""
    return find_spec("jinja2") is not None


def require_page() -> None:
    """Raise BadInput where jinja2 is not installed."""
    if not can_write():
        raise BadInput(f"a report needs jinja2, which is not installed; {EXTRA} adds it")


def import_libraries() -> None:
    """Get ready what a report is written with, where it is installed: for a time when one waits."""
    if can_write():
        _template()


def html(contents: Contents) -> str:
    """Write the report of a study; the same results give the same bytes.

    Raises BadInput where jinja2 is not installed.
    """
    require_page()
    return _template().render(_given(contents))


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("sweep.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template(TEMPLATE)


def _given(contents: Contents) -> dict[str, Any]:
    summary, background = contents.summary, contents.background
    results = summary.results
    board = results.board
    return {
        "title": summary.title,
        "background": background,
        "started": _moment(background.created),
        "headline": headline(results),
        "verdict": verdict(results).replace("+/-", "±"),
        "key_figures": _key_figures(results),
        "board": board,
        "leaderboard": _scores_first(leaderboard_table(results, top=TOP, brief=True), board),
        "selection": summary.selection,
        "findings": summary.findings,
        "stages": tell(results),
        "decided_by": intro(results),
        "ended": ended(results),
        "strategy": results.strategy,
        "importance": _bars(contents.importance, board),
        "isolation": isolation_table(_of_few_values(summary.isolated, board), board=board),
        "rungs": rung_table(contents.rungs, board=board),
        "rolled": rolled_table(results.rolled) if results.rolled else None,
        "rolled_of": rolled_name(results),
        "fronts": [front_table(prices, board=board) for prices in contents.prices],
        "reasons": summary.reasons[:MOST_REASONS],
        "more_reasons": max(0, len(summary.reasons) - MOST_REASONS),
        "links": [_pieces(line) for line in background.links],
        "grid": {key: _listed(own) for key, own in background.grid.items()},
        "better": "lower" if board.direction == "minimize" else "higher",
        "light": colors.palette(colors.LIGHT, colors.LIGHT_RANKS),
        "dark": colors.palette(colors.DARK, colors.DARK_RANKS),
        "every": one_in(board),
        "dots": one_dot_in(len(board.ranked)),
        **_figures(contents),
    }


def _figures(contents: Contents) -> dict[str, Any]:
    """Draw all figures, marked as safe to stand in the page."""
    results = contents.summary.results
    board, baselines = results.board, results.baselines
    curves = learning_curves(board, records=results.records)
    several = board.varied and len(board.ranked) > 1
    stacked = (False, True) if several else ()
    return {
        "curves": [(one.caption, _safe(one.svg)) for one in curves],
        "objective_curves": _safe(objective_curves(board, records=results.records)),
        "looks": {one.look for one in curves},
        "stopped": _safe(stopped_curves(board, records=results.records)),
        "plots": [(board.names[plot.key], _safe(plot.svg)) for plot in _plots(contents)],
        "epoch": contents.level.epoch,
        "parallel": [_safe(parallel_coordinates(board, stacked=s)) for s in stacked],
        "origins": _safe(scores_by_origin(results.rolled)) if results.rolled else "",
        "steps_ahead": _safe(error_by_step(results.rolled)) if results.rolled else "",
        "spending": [
            (prices.measure, _safe(cost_against_quality(prices, board=board, baselines=baselines)))
            for prices in contents.prices
        ],
    }


def _plots(contents: Contents) -> list[Plot]:
    """Draw the isolation plots; where trials were stopped, at the last epoch that all reached."""
    summary, board = contents.summary, contents.summary.results.board
    if contents.level.epoch is None:
        return isolation_plots(summary.isolated, board=board, winner=board.best)
    early = at_level(board, contents.level)
    own = board.best.trials if board.best else ()
    winner = next((item for item in early.ranked if item.trials == own), None)
    return isolation_plots(isolate(early), board=early, winner=winner)


def _safe(svg: str) -> Markup:
    from markupsafe import Markup

    return Markup(svg)  # noqa: S704  drawn by our canvas, which escapes what it is given


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
        found.append(KeyFigure(f"{item.name} (baseline)", score, beside))
    return [*found, *_spent(results)]


def _spent(results: Results) -> list[KeyFigure]:
    records = results.records.values()
    found = []
    for name, seconds in (
        ("GPU time held", sum(record.gpu_seconds for record in records)),
        ("CPU time used", sum(record.cpu_seconds for record in records)),
    ):
        if seconds:
            each = show_span(seconds / len(records)) if seconds >= len(records) else "under 1 s"
            found.append(KeyFigure(name, show_span(seconds), f"{each} a trial"))
    return found


def _of(board: Leaderboard) -> str:
    total = sum(board.counts.values())
    return f"of {count(total, 'trial')}"


def _scored(name: str, mean: float | None, sd: float | None, places: int) -> KeyFigure:
    beside = "" if sd is None else f"± {show_spread(sd, places=places)} over seeds"
    return KeyFigure(name, show_score(mean, places=places), beside)


@dataclass(frozen=True, slots=True)
class Bar:
    """One share, in per cent, and how far forests disagree about it."""

    name: str
    share: float
    sd: float | None = None
    beside: str = ""
    kind: str = "alone"  # or together, or rest


def _bars(importance: Importance, board: Leaderboard) -> dict[str, Any]:
    most = max((share.among for share in importance.shares), default=0)
    bars = [
        Bar(
            board.names[share.key],
            100 * share.mean,
            100 * share.sd,
            "" if share.among == most else f"among the {share.among:,} that have it",
        )
        for share in importance.shares
    ]
    for pair in importance.pairs:
        name = " × ".join(board.names[key] for key in pair.keys)  # noqa: RUF001  a product
        doubt = "" if pair.clear else "may be chance"
        bars.append(Bar(name, 100 * pair.mean, 100 * pair.sd, doubt, kind="together"))
    if importance.rest is not None:
        bars.append(Bar("the rest, noise included", 100 * importance.rest, kind="rest"))
    return {"bars": bars, "notes": importance.notes, "exploratory": importance.exploratory}


def _of_few_values(rows: Sequence[Isolated], board: Leaderboard) -> list[Isolated]:
    return [row for row in rows if len(board.varied[row.key]) <= MOST]


def _listed(values: Sequence[Value]) -> str:
    shown = ", ".join(map(show_value, values[:MOST]))
    return shown if len(values) <= MOST else f"{shown}, ... ({len(values):,} values)"


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
