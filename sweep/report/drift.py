"""Tell how the inputs differ from last time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweep.report.formats import count, show_value

MISSING_MORE = 0.01  # of the rows; a larger rise is worth a look
BEYOND = 0.1  # of the former range; a value further outside is worth a look

Profile = Mapping[str, Any]  # {"rows", "columns": {name: {"low", "high", "mean", "sd", "missing"}}}


def drift(now: Profile, before: Profile | None) -> tuple[list[str], list[str]]:
    """Describe what changed in the inputs, and what of it is worth a look.

    Rows, the range of each column, the share of missing values; the mean, where it moved by more
    than half a standard deviation.
    """
    if not now:
        return [], []
    lines = [f"{count(int(now['rows']), 'row')}, {count(len(now['columns']), 'column')}"]
    if not before:
        return [*lines, "nothing to compare with: the first gate of this job"], []
    looks: list[str] = []
    change = int(now["rows"]) - int(before["rows"])
    if change:
        what = "more" if change > 0 else "fewer"
        lines.append(f"{count(abs(change), 'row')} {what} than last time")
        if change < 0:
            looks.append(f"{count(-change, 'row')} fewer than last time")
    mine, theirs = now["columns"], before["columns"]
    lines += [f"{name} is new" for name in sorted(mine.keys() - theirs.keys())]
    looks += [f"{name} is gone" for name in sorted(theirs.keys() - mine.keys())]
    for name in [name for name in mine if name in theirs]:
        looks += _column(name, mine[name], theirs[name])
    if not change and not looks and mine == theirs:
        lines.append("the same as last time")
    return lines, looks


def _column(name: str, now: Mapping[str, float], before: Mapping[str, float]) -> list[str]:
    looks = []
    span = max(before["high"] - before["low"], 1e-12)
    for end, beyond in (
        ("low", before["low"] - now["low"]),
        ("high", now["high"] - before["high"]),
    ):
        if beyond > BEYOND * span:
            looks.append(
                f"{name} reaches {show_value(now[end])}; it ranged from "
                f"{show_value(before['low'])} to {show_value(before['high'])}"
            )
    if abs(now["mean"] - before["mean"]) > 0.5 * max(before["sd"], 1e-12):
        looks.append(
            f"the mean of {name} moved from {show_value(before['mean'])} to "
            f"{show_value(now['mean'])}"
        )
    if now["missing"] - before["missing"] > MISSING_MORE:
        looks.append(
            f"{name} lacks {now['missing']:.1%} of its values; it lacked {before['missing']:.1%}"
        )
    return looks
