"""Show what a study came to: its leaderboard, warnings, failures, isolation and links."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table as Grid
from rich.text import Text

from sweep.plan.budget import Spent
from sweep.plan.trial import State
from sweep.report.advice import advice_lines
from sweep.report.choice import choice_lines, versus_lines
from sweep.report.failures import Reason, find_reasons
from sweep.report.formats import count, decimals, show_list, show_score, show_spread
from sweep.report.isolation import Isolated, isolate
from sweep.report.results import Results
from sweep.report.table import Table, isolation_table, leaderboard_table, settings
from sweep.report.warnings import Finding, find_warnings

MOST_REASONS = 5


@dataclass(frozen=True, slots=True)
class Summary:
    """All that is said at the end of a study."""

    title: str
    results: Results
    findings: tuple[Finding, ...]
    reasons: tuple[Reason, ...]
    isolated: tuple[Isolated, ...]
    links: tuple[str, ...]  # lines, ready to print
    selection: tuple[str, ...] = ()  # what is known of the winner's lead


def summarize(results: Results, *, title: str, links: Sequence[str] = ()) -> Summary:
    """Draw everything that a summary says from the results of a study."""
    return Summary(
        title=title,
        results=results,
        findings=tuple(find_warnings(results)),
        reasons=tuple(find_reasons(results.records)),
        isolated=tuple(isolate(results.board)),
        links=tuple(links),
        selection=(
            *choice_lines(results.board),
            *versus_lines(results.versus, board=results.board),
            *together_lines(results),
            *advice_lines(results),
        ),
    )


def render(summary: Summary) -> RenderableType:
    """Turn a summary into what rich prints, on a terminal or not."""
    board = summary.results.board
    parts: list[RenderableType] = [
        Text(summary.title, style="bold"),
        Text(headline(summary.results)),
        *([] if board.best is None else [Text(verdict(summary.results), style="bold")]),
    ]
    if board.ranked or summary.results.baselines:
        parts += _section("Leaderboard", _Fitting(_layouts(summary.results)))
    if summary.selection:
        parts += _section("Selection", _bullets(summary.selection))
    if summary.findings:
        parts += _section("Warnings", _bullets([f"{f.text} {f.remedy}" for f in summary.findings]))
    if summary.reasons:
        parts += _section("Not completed", _bullets(reason_lines(summary.reasons)))
    if summary.isolated:
        title = "Best result per value, over all other settings"
        parts += _section(title, _Fitting((isolation_table(summary.isolated, board=board),)))
    if summary.links:
        # A link that is cut or wrapped cannot be clicked.
        parts += ["", *(Text(line, no_wrap=True, overflow="ignore") for line in summary.links)]
    return Group(*parts)


def text(summary: Summary, *, width: int = 80) -> str:
    """Write a summary as plain text of `width` columns."""
    console = Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(render(summary), crop=False)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def headline(results: Results) -> str:
    """Count trials by what became of them, and tell what they cost."""
    board = results.board
    trials = sum(board.counts.values())
    ended_first = sorted(State, key=lambda state: not state.terminal)
    known = [state for state in ended_first if board.counts.get(state)]
    states = [f"{board.counts[state]:,} {state.value.lower()}" for state in known]
    line = f"{count(trials, 'trial')}: {show_list(states)}." if states else "No trial."
    if board.twins:
        share = "shares" if board.twins == 1 else "share"
        line += f" {board.twins:,} more {share} a result with one that is equal in effect."
    if results.taken:
        line += f" {results.taken:,} taken over from earlier studies."
    if results.spent != Spent():
        line += f" Workers held {results.spent}."
    return line


def verdict(results: Results) -> str:
    """Name the winning configuration with its score; empty where nothing completed."""
    board, best = results.board, results.board.best
    if best is None:
        return ""
    places = decimals(best.mean)
    line = f"Best: {settings(best, board) or 'the one configuration'}, {board.objective} "
    line += _with_spread(best.mean, best.sd, places) + _over(len(best.scores))
    if results.test:
        line += f"; {board.test} {_with_spread(results.test_mean, results.test_sd, places)}"
        line += _over(len(results.test))
    return line + "."


def together_lines(results: Results) -> list[str]:
    """Say what several seeds of the winner reach together, where they were joined."""
    if results.together is None:
        return []
    seeds, score = results.together
    places = decimals(score)
    alone = show_score(results.test_mean, places=places)
    line = f"The mean of the winner's best {seeds} seeds reaches {results.board.test} "
    return [line + f"{show_score(score, places=places)}; one alone {alone} on average."]


def reason_lines(reasons: Sequence[Reason]) -> list[str]:
    """Write one line for each of the first reasons, and count the others."""
    lines = []
    for reason in reasons[:MOST_REASONS]:
        numbers = [str(number) for number in reason.trials[:3]]
        more = len(reason.trials) - len(numbers)
        which = f"trial{'s' if len(reason.trials) > 1 else ''} " + (
            ", ".join(numbers) + f" and {more:,} more" if more else show_list(numbers)
        )
        what = f"{len(reason.trials):,} {reason.state.value.lower()} ({which})"
        why = f"{reason.type}: {reason.text}".rstrip(".")
        remedy = f"; {reason.remedy.rstrip('.')}" if reason.remedy else ""
        lines.append(f"{what}: {why}{remedy}.")
    if len(reasons) > MOST_REASONS:
        lines.append(f"{count(len(reasons) - MOST_REASONS, 'more reason')}.")
    return lines


def _with_spread(mean: float | None, sd: float | None, places: int) -> str:
    spread = "" if sd is None else f" +/- {show_spread(sd, places=places)}"
    return show_score(mean, places=places) + spread


def _over(seeds: int) -> str:
    return f" over {seeds} seeds" if seeds > 1 else ""


def _section(title: str, body: RenderableType) -> list[RenderableType]:
    return ["", Text(title, style="bold"), body]


def _bullets(lines: Sequence[str]) -> Grid:
    grid = Grid.grid(padding=(0, 1))
    grid.add_column(style="yellow")
    grid.add_column(ratio=1)
    for line in lines:
        grid.add_row("-", Text(line))
    return grid


@dataclass(frozen=True, slots=True)
class _Fitting:
    """The first of several layouts that fits the width; the last where none does."""

    layouts: tuple[Table, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        *roomy, last = self.layouts
        grids = ((layout, _grid(layout)) for layout in roomy)
        layout, grid = next(
            (pair for pair in grids if _width(pair[1], console, options) <= options.max_width),
            (last, _grid(last)),
        )
        yield grid
        for note in layout.notes:
            yield Text(note, style="dim")


def _layouts(results: Results) -> tuple[Table, ...]:
    """List the leaderboard's layouts, the roomiest first."""
    wide = leaderboard_table(results)
    brief = leaderboard_table(results, brief=True)
    compact = leaderboard_table(results, compact=True)
    return wide, _stacked(wide), _stacked(brief), compact


def _width(grid: Grid, console: Console, options: ConsoleOptions) -> int:
    return Measurement.get(console, options.update(width=10_000), grid).maximum


def _stacked(table: Table) -> Table:
    """Break titles at their underscores, so that columns become narrower."""
    columns = (replace(c, title=c.title.replace("_", "_\n")) for c in table.columns)
    return replace(table, columns=tuple(columns))


def _grid(table: Table) -> Grid:
    grid = Grid(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for column in table.columns:
        grid.add_column(
            column.title,
            justify="right" if column.number else "left",
            no_wrap=column.title != "configuration",
            vertical="top",
        )
    for number, row in enumerate(table.rows):
        style = "bold" if number in table.strong else "dim" if number in table.quiet else None
        if number and number in table.groups:
            grid.add_section()
        grid.add_row(*map(Text, row), style=style)
    return grid
