"""Read what earlier attempts of a pack left, and whose fault their ends may be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from sweep.plan import layout
from sweep.plan.records import Ledger, lines_of
from sweep.plan.trial import Record, State
from sweep.store import Store

KILLED = "Killed"  # type of the failure on a line that tells of a dead worker
PATIENT = 2  # attempts without a closing reason before a pack is run at less than full width


@dataclass(slots=True)
class Blame:
    """Count the workers that died while they trained a trial.

    Trials that run side by side share a machine's memory, so a death beside others says little:
    such deaths alone never make up the number at which a trial is given up.
    """

    alone: Counter[int] = field(default_factory=Counter)
    shared: Counter[int] = field(default_factory=Counter)

    def count(self, trial: int, *, most: int) -> int:
        """Tell how many deaths a trial answers for, where `most` are too many."""
        return self.alone[trial] + min(self.shared[trial], most - 1)


@dataclass(slots=True)
class Past:
    """What earlier attempts of a pack left."""

    records: Mapping[int, Record] = field(default_factory=dict)  # terminal ones of this round
    blame: Blame = field(default_factory=Blame)
    idle_deaths: int = 0  # attempts that ended without a word before any trial
    open_ends: int = 0  # attempts without a closing reason

    @property
    def done(self) -> frozenset[int]:
        """Name the trials with a terminal record."""
        return frozenset(self.records)

    def width(self, full: int) -> int:
        """Say how many trials may run at once: half after two such attempts, then one."""
        if self.open_ends < PATIENT:
            return full
        return max(1, full // 2) if self.open_ends == PATIENT else 1


def past_of(store: Store, *, pack: int, attempt: int) -> Past:
    """Read what the attempts before `attempt` left of a pack."""
    past, ledger = Past(), Ledger()
    keys = sorted(store.sizes(layout.pack_prefix(pack)))
    for earlier in range(1, attempt):
        begun, paused, over = Counter[int](), Counter[int](), set[int]()
        for record in _records(store, keys, earlier, ledger):
            if record.state is State.RUNNING:
                begun[record.trial] += 1
            elif record.state.terminal:
                over.add(record.trial)
            else:
                paused[record.trial] += 1
                if record.error is not None and record.error.type == KILLED:
                    past.blame.shared[record.trial] += 1
        if "closed" in json.loads(store.read(layout.attempt_key(pack, earlier))):
            continue
        past.open_ends += 1
        past.idle_deaths += not begun
        cut = [trial for trial in begun if begun[trial] > paused[trial] and trial not in over]
        (past.blame.alone if len(cut) == 1 else past.blame.shared).update(cut)
    past.records = ledger.records
    return past


def _records(store: Store, keys: list[str], attempt: int, ledger: Ledger) -> list[Record]:
    found: list[Record] = []
    for key in keys:
        file = layout.results_of(key)
        if file is None or file.attempt != attempt:
            continue
        lines, _, _, _ = lines_of(store.read(key), where=key, attempt=attempt, part=file.part)
        for line in lines:
            ledger.add(line)
            found.append(line.record)
    return found
