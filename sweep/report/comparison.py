"""Compare two studies: what they share, seed by seed, and what was changed between them."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from sweep.plan.facets import Flat
from sweep.plan.trial import Record, State, Trial, Value
from sweep.report.formats import count, decimals, show_score, show_value
from sweep.report.leaderboard import Leaderboard
from sweep.report.paired import MIN_SEEDS, Paired, holm_intervals, paired_interval
from sweep.report.table import settings
from sweep.report.varied import find_varied, hashable, short_names

MOST = 10  # configurations that are shown
WITHOUT = ("tracking.", "gate.")  # settings of which no number depends


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What a comparison reads of one study."""

    name: str
    board: Leaderboard
    trials: Sequence[Trial]
    bases: Sequence[Flat]
    records: Mapping[int, Record]
    seed: str
    facts: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Row:
    """One configuration that both studies trained."""

    label: str
    first: float  # means over the seeds that both have
    second: float
    seeds: int
    difference: Paired | None  # second less first; None: too few seeds in common


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is not the same in both."""

    what: str  # data, code, versions, settings, grid
    name: str
    first: str
    second: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two studies beside each other."""

    first: str
    second: str
    objective: str
    direction: str
    best: tuple[float | None, float | None]
    winners: tuple[str, str]
    shared: int  # trials of the same varied settings and seed that completed in both
    equal: int  # of these, with the same score to the last bit
    overall: Paired | None  # second less first, over shared configurations
    rows: tuple[Row, ...]
    changes: tuple[Change, ...]
    comparable: bool  # both scores are the same kind of number


def compare_studies(first: Sheet, second: Sheet) -> Comparison:
    """Pair the trials of two studies by their varied settings and seed.

    What varies in neither, and differs between them, stands among the changes: it is what the
    difference is of. Intervals are 95 % t-intervals, corrected by Holm over configurations.
    Raises BadInput where SciPy is not installed and there is something to compare.
    """
    keys = _varied_in_either(first, second)
    names = short_names(keys)
    comparable = first.board.objective == second.board.objective
    one, other = _scores(first, keys), _scores(second, keys)
    both = [place for place in one if place in other] if comparable else []
    groups: dict[Value, list[tuple[float, float]]] = defaultdict(list)
    for config, seed in both:
        groups[config].append((one[config, seed], other[config, seed]))
    gaps = [[b - a for a, b in pairs] for pairs in groups.values()]
    rows = [
        Row(
            " ".join(f"{names[k]}={show_value(v)}" for k, v in zip(keys, config, strict=True)),
            statistics.fmean(a for a, _ in pairs),
            statistics.fmean(b for _, b in pairs),
            len(pairs),
            gap,
        )
        for (config, pairs), gap in zip(groups.items(), holm_intervals(gaps), strict=True)
    ]
    sign = 1 if first.board.direction == "minimize" else -1
    rows.sort(key=lambda row: min(sign * row.first, sign * row.second))
    means = [statistics.fmean(gap) for gap in gaps]
    every = [gap for own in gaps for gap in own]
    return Comparison(
        first=first.name,
        second=second.name,
        objective=first.board.objective,
        direction=first.board.direction,
        best=(_best(first), _best(second)),
        winners=(_winner(first), _winner(second)),
        shared=len(both),
        equal=sum(one[place] == other[place] for place in both),
        overall=paired_interval(means if len(means) >= MIN_SEEDS else every),
        rows=tuple(rows),
        changes=tuple(_changes(first, second, keys)),
        comparable=comparable,
    )


def comparison_json(found: Comparison) -> dict[str, Value]:
    """Turn a comparison into plain values."""
    return asdict(found)


def comparison_markdown(found: Comparison) -> str:
    """Write a comparison as Markdown, which reads well on a terminal too."""
    places = decimals(found.best[0] or found.best[1])
    lines = [f"## {found.first} and {found.second}", ""]
    for name, best, winner in (
        (found.first, found.best[0], found.winners[0]),
        (found.second, found.best[1], found.winners[1]),
    ):
        score = "nothing completed" if best is None else show_score(best, places=places)
        lines.append(f"- {name}: best {found.objective} {score}{winner and f' at {winner}'}")
    lines += ["", *_verdict(found, places), ""]
    if found.rows:
        titles = (
            "configuration",
            found.first,
            found.second,
            "difference",
            "95 % interval",
            "seeds",
        )
        lines += [
            f"| {' | '.join(titles)} |",
            "|---|---:|---:|---:|---:|---:|",
            *(_row(row, places) for row in found.rows[:MOST]),
            "",
        ]
        if len(found.rows) > MOST:
            lines += [f"{count(len(found.rows) - MOST, 'more configuration')} in both.", ""]
    lines += ["### What was changed", ""]
    if found.changes:
        lines += [f"| | | {found.first} | {found.second} |", "|---|---|---|---|"]
        lines += [f"| {c.what} | {c.name} | {c.first} | {c.second} |" for c in found.changes]
    else:
        lines.append("Nothing that the studies recorded: data, code, versions, settings and grid.")
    return "\n".join(lines) + "\n"


def _verdict(found: Comparison, places: int) -> list[str]:
    if not found.comparable:
        return ["Their objectives are not the same number, so scores are not compared."]
    if not found.shared:
        return ["They share no trial of the same settings and seed, so nothing can be paired."]
    same = f", {found.equal} of them with the same score to the last bit" if found.equal else ""
    line = f"{count(found.shared, 'trial')} of the same settings and seed in both{same}."
    if found.overall is None:
        return [f"{line} Whether they differ is unknown: {MIN_SEEDS} pairs are needed."]
    gap = found.overall
    interval = f"95 % interval {gap.low:+.{places}f} to {gap.high:+.{places}f}"
    sign = 1 if found.direction == "minimize" else -1
    if not gap.differs:
        return [f"{line} No difference is known ({interval})."]
    word = "better" if sign * gap.mean < 0 else "worse"
    size = show_score(abs(gap.mean), places=places)
    return [f"{line} {found.second} is {word} by {size} on average ({interval})."]


def _row(row: Row, places: int) -> str:
    gap = row.difference
    interval = "unknown" if gap is None else f"{gap.low:+.{places}f} to {gap.high:+.{places}f}"
    mark = "" if gap is None or not gap.differs else " *"
    scores = [show_score(value, places=places) for value in (row.first, row.second)]
    return (
        f"| {row.label or 'the one'} | {scores[0]} | {scores[1]} "
        f"| {row.second - row.first:+.{places}f} | {interval}{mark} | {row.seeds} |"
    )


def _varied_in_either(first: Sheet, second: Sheet) -> list[str]:
    found: dict[str, None] = {}
    for sheet in (first, second):
        for key in find_varied(sheet.trials, bases=sheet.bases).values:
            if key != sheet.seed and not key.startswith(WITHOUT):
                found[key] = None
    return list(found)


def _flat(sheet: Sheet, trial: Trial) -> Flat:
    return {**sheet.bases[trial.base], **trial.values}


def _scores(sheet: Sheet, keys: Sequence[str]) -> dict[tuple[Value, Value], float]:
    found: dict[tuple[Value, Value], float] = {}
    for trial in sheet.trials:
        record = sheet.records.get(trial.number if trial.same_as is None else trial.same_as)
        if record is None or record.state is not State.COMPLETED or record.objective is None:
            continue
        config = _flat(sheet, trial)
        place = tuple(hashable(config.get(key)) for key in keys)
        found.setdefault((place, hashable(config.get(sheet.seed))), record.objective)
    return found


def _best(sheet: Sheet) -> float | None:
    return sheet.board.best.mean if sheet.board.best else None


def _winner(sheet: Sheet) -> str:
    return settings(sheet.board.best, sheet.board) if sheet.board.best else ""


def _changes(first: Sheet, second: Sheet, keys: Sequence[str]) -> list[Change]:
    changes = [
        *_pairs("data", _data(first), _data(second)),
        *_pairs("code", _code(first), _code(second)),
        *_pairs("versions", _group(first, "versions"), _group(second, "versions")),
    ]
    varied = {*keys, first.seed, second.seed}
    one, other = _constant(first, varied), _constant(second, varied)
    changes += _pairs("settings", one, other)
    grids = [_grid(sheet, keys) for sheet in (first, second)]
    return [*changes, *_pairs("grid", *grids)]


def _pairs(what: str, first: Mapping[str, str], second: Mapping[str, str]) -> list[Change]:
    names = dict.fromkeys([*first, *second])
    return [
        Change(what, name, first.get(name, "none"), second.get(name, "none"))
        for name in names
        if first.get(name) != second.get(name)
    ]


def _group(sheet: Sheet, name: str) -> dict[str, str]:
    return {str(k): str(v) for k, v in dict(sheet.facts.get(name) or {}).items()}


def _data(sheet: Sheet) -> dict[str, str]:
    found = {f"{k}, sha256": v[:12] for k, v in _group(sheet, "data").items()}
    inputs = dict(sheet.facts.get("inputs") or {})
    if inputs.get("rows"):
        found["rows"] = f"{int(inputs['rows']):,}"
        for name, column in dict(inputs.get("columns") or {}).items():
            low, high = show_value(column["low"]), show_value(column["high"])
            found[f"{name}, range"] = f"{low} to {high}"
            found[f"{name}, missing"] = f"{column['missing']:.2%}"
    return found


def _code(sheet: Sheet) -> dict[str, str]:
    facts = sheet.facts
    found = {"commit": str(facts.get("git") or "unknown")[:13]}
    bundle = dict(facts.get("code") or {}).get("bundle")
    if bundle:
        found["bundle"] = str(bundle)[:12]
    for name in ("image", "machine"):
        if facts.get(name):
            found[name] = str(facts[name])
    return found


def _constant(sheet: Sheet, varied: set[str]) -> dict[str, str]:
    if not sheet.trials:
        return {}
    flat = _flat(sheet, sheet.trials[0])
    return {
        key: show_value(value)
        for key, value in flat.items()
        if key not in varied and not key.startswith(WITHOUT)
    }


def _grid(sheet: Sheet, keys: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key in [*keys, sheet.seed]:
        seen: dict[Value, Value] = {}
        for trial in sheet.trials:
            value = _flat(sheet, trial).get(key)
            seen.setdefault(hashable(value), value)
        values = list(seen.values())
        shown = ", ".join(show_value(value) for value in values[:8])
        found[key] = shown + (f", ... ({len(values)})" if len(values) > 8 else "")
    return found
