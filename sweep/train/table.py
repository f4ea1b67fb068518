"""Read columns of a CSV file onto the full grid of a regular time step."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweep.errors import BadInput, UnknownName

MISSING = frozenset({"", "na", "n/a", "nan", "null"})  # fields that mean 'no value', any case
SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
ROW = "row"  # a frequency: each row is one step, whatever the time between them
SPARSEST = 0.1  # share of grid times with a row, below which the frequency is surely wrong


@dataclass(frozen=True, slots=True, eq=False)  # equal only to itself, so that it can be a key
class Table:
    """Columns over the full grid; NaN where the file has no value."""

    path: Path
    columns: tuple[str, ...]
    values: NDArray[np.float64]  # [N, C], read-only
    start: datetime  # of the first row; naive times count as UTC
    step_s: int  # 0: each row is a step
    absent: int  # grid times without a row
    sha256: str  # of the file


def read(path: Path, *, time: str, columns: Sequence[str], frequency: str) -> Table:
    """Read `columns` of a CSV file with a header, once per process and version of the file.

    Raises BadInput, which names the file and the line, for a file that cannot be read, a column
    that does not exist or holds nothing, a field that is not a number, and times that are not
    sorted, not unique or not on the grid.
    """
    step_s = seconds(frequency)
    try:
        stat = path.stat()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; set data.path to a CSV file") from None
    stamp = (stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size)
    return _read(path, stamp, time, tuple(columns), step_s)


def seconds(frequency: str) -> int:
    """Turn a frequency such as '15min' into seconds; 'row' has none, and gives 0.

    Raises BadInput where it is not a whole number and one of s, min, h, d.
    """
    if frequency == ROW:
        return 0
    match = re.fullmatch(r"([1-9][0-9]*) ?(s|min|h|d)", frequency)
    if match is None:
        raise BadInput(
            f"data.frequency={frequency}: write a whole number and one of s, min, h, d, as in 1h; "
            "or row, where each row is a step"
        )
    return int(match[1]) * SECONDS[match[2]]


@lru_cache(maxsize=4)  # a changed file has another stamp, and is read again
def _read(
    path: Path, _stamp: tuple[int, ...], time: str, columns: tuple[str, ...], step_s: int
) -> Table:
    content = _content(path)
    rows = _rows(content, path)
    _, header = next(rows, (1, []))
    if not header:
        raise BadInput(f"{path}: the file is empty; set data.path to a CSV file with a header")
    place = {name: _position(header, name, path) for name in (time, *columns)}
    times: list[datetime] = []
    lines: list[int] = []
    cells: list[list[float]] = []
    for line, row in rows:
        if len(row) != len(header):
            raise BadInput(
                f"{path}, line {line}: {len(row)} fields where the header has {len(header)}; "
                "complete the line or remove it"
            )
        times.append(_time(row[place[time]], time, path, line))
        lines.append(line)
        cells.append([_number(row[place[name]], name, path, line) for name in columns])
    if not cells:
        raise BadInput(f"{path}: no rows under the header; give data.path a file with data")
    slots = _slots(times, lines, step_s, path)
    values = np.full((int(slots[-1]) + 1, len(columns)), np.nan)
    values[slots] = cells
    for name, column in zip(columns, values.T, strict=True):
        if np.isnan(column).all():
            raise BadInput(f"{path}: column {name} holds no number; leave it out of data")
    values.setflags(write=False)
    return Table(
        path=path,
        columns=columns,
        values=values,
        start=times[0],
        step_s=step_s,
        absent=len(values) - len(cells),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; set data.path to a CSV file") from None


def _rows(content: bytes, path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{path}, line {line}: not UTF-8 text; save it as a UTF-8 CSV") from None
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise BadInput(f"{path}, line {reader.line_num}: not CSV ({error})") from None


def _position(header: Sequence[str], name: str, path: Path) -> int:
    if name not in header:
        raise UnknownName("column", name, header, hint=f" ({path})")
    if header.count(name) > 1:
        raise BadInput(f"{path}: column {name} stands {header.count(name)} times; rename one")
    return header.index(name)


def _time(text: str, column: str, path: Path, line: int) -> datetime:
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadInput(
            f"{path}, line {line}: {column}={text!r} is not a time; "
            "write ISO 8601, as in 2013-01-01T06:00:00Z"
        ) from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _number(text: str, column: str, path: Path, line: int) -> float:
    try:
        number = float(text)
    except ValueError:
        if text.strip().lower() in MISSING:
            return math.nan
        raise BadInput(
            f"{path}, line {line}: {column}={text!r} is not a number; "
            "correct it, or leave the field empty for a missing value"
        ) from None
    if math.isinf(number):
        raise BadInput(f"{path}, line {line}: {column}={text!r} is not finite; leave it empty")
    return number


def _slots(
    times: Sequence[datetime], lines: Sequence[int], step_s: int, path: Path
) -> NDArray[np.int64]:
    first = times[0]
    slots = np.empty(len(times), dtype=np.int64)
    for index, (time, line) in enumerate(zip(times, lines, strict=True)):
        since = time - first
        elapsed = since.days * 86400 + since.seconds
        whole, rest = divmod(elapsed, step_s) if step_s else (index, 0)
        if index and time == times[index - 1]:
            raise BadInput(f"{path}, line {line}: time {_show(time)} stands twice; remove one row")
        if index and time < times[index - 1]:
            raise BadInput(
                f"{path}, line {line}: time {_show(time)} comes after a later one; sort the rows"
            )
        if rest or (step_s and since.microseconds):
            raise BadInput(
                f"{path}, line {line}: time {_show(time)} is not on the {step_s} s grid from "
                f"{_show(first)}; set data.frequency, or resample the file"
            )
        slots[index] = whole
    if len(times) < SPARSEST * (slots[-1] + 1):
        raise BadInput(
            f"{path}: only {len(times)} of {slots[-1] + 1} times at a step of {step_s} s have a "
            "row; set data.frequency to the step of the rows"
        )
    return slots


def _show(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")
