"""Lay the leaderboard and the isolation table out as rows of text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sweep.report.baselines import Baseline
from sweep.report.equal_epochs import STOPPED
from sweep.report.formats import (
    count,
    decimals,
    show_list,
    show_score,
    show_spread,
    show_value,
)
from sweep.report.isolation import Isolated, has_effect
from sweep.report.leaderboard import Configuration, Leaderboard, cost
from sweep.report.results import Results

MOST_VALUES = 12  # of one setting, in the table of the best result per value
TOP = 10  # configurations shown; the rest is counted
NONE_COMPLETED = "no trial completed"
ANY = "any"  # the setting has no effect in this configuration


@dataclass(frozen=True, slots=True)
class Column:
    """One column's title, and whether it is read as a number."""

    title: str
    number: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """Text in rows and columns, with lines to stand below."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    strong: frozenset[int] = frozenset()  # rows to be seen first
    quiet: frozenset[int] = frozenset()  # rows that are there for comparison
    groups: frozenset[int] = frozenset()  # rows that begin a group
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ranked:
    """A configuration at its rank."""

    rank: int
    configuration: Configuration


Entry = Ranked | Baseline
Cell = tuple[Column, Callable[[Entry], str]]  # a column, and how an entry fills it


def leaderboard_table(
    results: Results, *, top: int = TOP, brief: bool = False, compact: bool = False
) -> Table:
    """Lay out the best configurations, with the baselines where they rank among them.

    A column for each setting. Brief: what all shown rows agree on is said once, below. Compact:
    brief, with one column that names all settings.
    """
    board = results.board
    shown = [Ranked(number, item) for number, item in enumerate(board.ranked[:top], start=1)]
    settled = _settled(shown, board) if brief or compact else []
    keys = [key for key in board.varied if key not in settled]
    cells = [*_name_cells(keys, board, compact=compact), *_score_cells(results)]
    entries = _in_rank_order(shown, results.baselines, board)
    return Table(
        columns=tuple(column for column, _ in cells),
        rows=tuple(tuple(fill(entry) for _, fill in cells) for entry in entries),
        strong=frozenset(i for i, e in enumerate(entries) if isinstance(e, Ranked) and e.rank == 1),
        quiet=frozenset(i for i, e in enumerate(entries) if isinstance(e, Baseline)),
        notes=(*_settled_note(settled, shown, board), *_rank_notes(shown, board)),
    )


def isolation_table(rows: Sequence[Isolated], *, board: Leaderboard) -> Table:
    """Lay out what each value of each setting reached; the best value of each is strong.

    Of a setting with many values the best are shown, in the order of the values.
    """
    rows, hidden = _best_values(rows, board)
    places = decimals(board.best.mean if board.best else None)
    lost = any(row.infeasible for row in rows)
    first = {row.key: i for i, row in reversed(list(enumerate(rows)))}
    best = {
        key: min((r for r in rows if r.key == key), key=lambda r: cost(r.best, board.direction))
        for key in first
    }
    return Table(
        columns=(
            Column("setting", number=False),
            Column("value", number=False),
            Column(f"best {board.objective}"),
            Column("median"),
            Column("ranked"),
            *([Column("infeasible")] if lost else []),
        ),
        rows=tuple(
            (
                board.names[row.key] if first[row.key] == i else "",
                show_value(row.value),
                show_score(row.best, places=places),
                show_score(row.median, places=places),
                str(row.count),
                *([str(row.infeasible or "")] if lost else []),
            )
            for i, row in enumerate(rows)
        ),
        strong=frozenset(i for i, row in enumerate(rows) if best[row.key] is row),
        groups=frozenset(first.values()),
        notes=tuple(
            f"{board.names[key]}: {count} further values did no better, and are not shown."
            for key, count in hidden.items()
        ),
    )


def _best_values(
    rows: Sequence[Isolated], board: Leaderboard
) -> tuple[list[Isolated], dict[str, int]]:
    shown: list[Isolated] = []
    hidden: dict[str, int] = {}
    for key in dict.fromkeys(row.key for row in rows):
        own = [row for row in rows if row.key == key]
        kept = sorted(own, key=lambda row: cost(row.best, board.direction))[:MOST_VALUES]
        shown += [row for row in own if row in kept]
        if len(own) > len(kept):
            hidden[key] = len(own) - len(kept)
    return shown, hidden


def setting(key: str, configuration: Configuration, board: Leaderboard) -> str:
    """Write a configuration's value of one setting."""
    values = configuration.values[key]
    if not has_effect(key, configuration, board):
        return ANY
    return "/".join(map(show_value, values))


def settings(configuration: Configuration, board: Leaderboard, *, but: Sequence[str] = ()) -> str:
    """Write a configuration's settings as one line: 'lr=0.001 hidden_size=200'."""
    keys = [key for key in board.varied if key not in but]
    return " ".join(f"{board.names[key]}={setting(key, configuration, board)}" for key in keys)


def _name_cells(keys: Sequence[str], board: Leaderboard, *, compact: bool) -> list[Cell]:
    def rank(entry: Entry) -> str:
        return str(entry.rank) if isinstance(entry, Ranked) else "" if compact else entry.name

    def configuration(entry: Entry) -> str:
        if isinstance(entry, Baseline):
            return entry.name
        but = [key for key in board.varied if key not in keys]
        return settings(entry.configuration, board, but=but)

    def value(key: str) -> Callable[[Entry], str]:
        return lambda e: setting(key, e.configuration, board) if isinstance(e, Ranked) else ""

    first = Column("#" if compact else "rank", number=False)
    if compact:
        return [(first, rank), (Column("configuration", number=False), configuration)]
    return [(first, rank), *((Column(board.names[key]), value(key)) for key in keys)]


def _score_cells(results: Results) -> list[Cell]:
    board = results.board
    best = board.best.mean if board.best else None
    places = decimals(best if best is not None else _first_score(results.baselines))

    def score(entry: Entry) -> str:
        own = entry.objective if isinstance(entry, Baseline) else entry.configuration.mean
        return show_score(own, places=places)

    def sd(entry: Entry) -> str:
        own = None if isinstance(entry, Baseline) else entry.configuration.sd
        return show_spread(own, places=places)

    def seeds(entry: Entry) -> str:
        if isinstance(entry, Baseline):
            return ""
        done, planned = len(entry.configuration.scores), len(entry.configuration.trials)
        return str(done) if done == planned else f"{done}/{planned}"

    def trial(entry: Entry) -> str:
        return "" if isinstance(entry, Baseline) else str(entry.configuration.trials[0])

    def test(entry: Entry) -> str:
        if isinstance(entry, Baseline):
            return show_score(entry.test, places=places)
        return show_score(results.test_mean if entry.rank == 1 else None, places=places)

    everything = [*board.ranked, *board.unranked]
    cells: list[Cell] = [(Column(board.objective), score)]
    if any(len(item.trials) > 1 for item in everything):
        cells += [(Column("sd"), sd), (Column("seeds"), seeds)]
    else:
        cells += [(Column("trial"), trial)]
    if results.test or any(item.test is not None for item in results.baselines):
        cells += [(Column(board.test), test)]
    return cells


def _in_rank_order(
    shown: Sequence[Ranked], baselines: Sequence[Baseline], board: Leaderboard
) -> list[Entry]:
    """Put each baseline before the first configuration that it beats; keep the ranks."""
    entries: list[Entry] = []
    waiting = list(baselines)
    for row in shown:
        own = cost(row.configuration.mean, board.direction)
        while waiting and cost(waiting[0].objective, board.direction) <= own:
            entries.append(waiting.pop(0))
        entries.append(row)
    return [*entries, *waiting]


def _first_score(baselines: Sequence[Baseline]) -> float | None:
    return baselines[0].objective if baselines else None


def _settled(shown: Sequence[Ranked], board: Leaderboard) -> list[str]:
    """List the settings on which all shown configurations agree."""
    if len(shown) < 2:
        return []
    return [
        key
        for key in board.varied
        if len({setting(key, row.configuration, board) for row in shown}) == 1
    ]


def _settled_note(settled: Sequence[str], shown: Sequence[Ranked], board: Leaderboard) -> list[str]:
    if not settled:
        return []
    but = [key for key in board.varied if key not in settled]
    return [f"All of these: {settings(shown[0].configuration, board, but=but)}."]


def _rank_notes(shown: Sequence[Ranked], board: Leaderboard) -> list[str]:
    notes = []
    more = len(board.ranked) - len(shown)
    if more:
        notes.append(f"{count(more, 'more configuration')} ranked below.")
    lost = [str(row.rank) for row in shown if row.configuration.infeasible]
    if lost:
        notes.append(
            f"Rank {show_list(lost)} lost a seed to divergence, and so stands below all that "
            "did not, whatever its mean."
        )
    if any(setting(key, row.configuration, board) == ANY for row in shown for key in board.varied):
        notes.append("any: the setting has no effect there; it was trained once.")
    if board.unranked:
        notes.append(f"{count(len(board.unranked), 'configuration')} not ranked: {_why(board)}.")
    return notes


def _why(board: Leaderboard) -> str:
    stopped = sum(any(item.states.get(s) for s in STOPPED) for item in board.unranked)
    if stopped == len(board.unranked):
        return "stopped at a rung"
    return f"{stopped:,} stopped at a rung, else no trial completed" if stopped else NONE_COMPLETED
