"""Merge the lines of records files into one record a trial."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from sweep.plan.trial import Record, State, from_json, to_json


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a records file, with where it stands."""

    record: Record
    order: tuple[int, int, int]  # attempt, part, line: the first wins within a round


@dataclass(slots=True)
class Ledger:
    """What is known of every trial of a study; grows as lines come in."""

    records: dict[int, Record] = field(default_factory=dict)  # terminal records by trial
    running: dict[int, Record] = field(default_factory=dict)  # the newest RUNNING mark
    spare: int = 0  # terminal records that another one beat
    corrupt: list[str] = field(default_factory=list)  # places of lines that are no records
    torn: int = 0  # last lines cut off by a kill
    # Seconds of all attempts of a trial: what is not in its record came to nothing.
    cpu_spent: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    gpu_spent: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    _order: dict[int, tuple[int, tuple[int, int, int]]] = field(default_factory=dict)

    def add(self, line: Line) -> Record | None:
        """Take a line in; return its record where it is now the trial's terminal one.

        A later round beats an earlier one; within a round the first by (attempt, part, line).
        """
        record = line.record
        self.cpu_spent[record.trial] += record.attempt_cpu_seconds
        self.gpu_spent[record.trial] += record.attempt_gpu_seconds
        if not record.state.terminal:
            self.running[record.trial] = record
            return None
        old = self.records.get(record.trial)
        if old is not None:
            self.spare += 1
            kept_round, kept_order = self._order[record.trial]
            if (-record.round, line.order) >= (-kept_round, kept_order):
                return None
        self.records[record.trial] = record
        self._order[record.trial] = (record.round, line.order)
        return record

    def count(self, state: State, among: Collection[int] | None = None) -> int:
        """Count the trials whose terminal record has this state."""
        return sum(
            r.state is state and (among is None or r.trial in among) for r in self.records.values()
        )


def lines_of(
    data: bytes, *, where: str, attempt: int, part: int, first_line: int = 0
) -> tuple[list[Line], list[str], int, int]:
    """Read complete lines; return them, the corrupt places, the number read and bytes used.

    What follows the last newline is not used: a write under way, or torn by a kill.
    """
    end = data.rfind(b"\n") + 1
    lines: list[Line] = []
    corrupt: list[str] = []
    number = first_line
    for raw in data[:end].split(b"\n")[:-1]:
        number += 1
        try:
            record = from_json(json.loads(raw))
        except ValueError:
            corrupt.append(f"{where}, line {number}")
            continue
        lines.append(Line(record, (attempt, part, number)))
    return lines, corrupt, number, end


def to_line(record: Record) -> bytes:
    """Write one line of a records file."""
    text = json.dumps(to_json(record), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode() + b"\n"


def resolve_twins(
    records: Mapping[int, Record], twins: Iterable[tuple[int, int | None]]
) -> dict[int, Record]:
    """Give each trial that is trained in another's stead that one's record."""
    full = dict(records)
    for number, same_as in twins:
        if same_as is not None and same_as in records:
            full[number] = records[same_as]
    return full
