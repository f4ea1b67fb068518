"""Choose what to train next, from the marks that all workers of a study leave in the store."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from sweep.clock import CLOCK
from sweep.errors import CorruptPlan
from sweep.plan.records import to_line
from sweep.plan.rungs import (
    LATE,
    RUNGS,
    Marks,
    Rungs,
    Step,
    claim_key,
    mark_key,
    pruned_key,
    read_marks,
)
from sweep.plan.trial import Record, State, from_json
from sweep.search.climbing import Climb, Picture
from sweep.store import Store
from sweep.worker.checkpoint import clear_checkpoints


@dataclass(slots=True, kw_only=True)
class Climber:
    """An open slot of a round: it claims climbs, until there is none that it could do.

    A decision costs one listing of the rungs (a request a thousand marks) and one create. A slot
    that finds nothing ends, for every later promotion is opened by another slot's record, and that
    slot is then free to claim it.
    """

    store: Store  # the study's part
    rungs: Rungs
    trials: frozenset[int]  # of the round; those of an earlier one that rest are settled
    round_number: int
    pack: int
    attempt: int
    direction: str
    write: Callable[[bytes], None]  # adds lines to a records file of this attempt
    shown: Callable[[Record], None] = lambda _: None
    known: Mapping[int, Record] = field(default_factory=dict)  # results of the pack's earlier lives
    looked_back: bool = False  # at what earlier lives of the pack had claimed
    batches: int = 0  # of pruned trials that were written so far, as they are numbered
    _settled: set[int] = field(default_factory=set)  # trials that are known to be pruned
    _read: set[str] = field(default_factory=set)  # objects that list pruned trials
    _left: list[Step] = field(default_factory=list)  # what earlier lives of the pack had claimed

    def next(self) -> Climb | None:
        """Claim the next climb; None where nothing is left for this slot."""
        while True:
            picture = self._picture()
            if not self.looked_back:
                self.looked_back = True
                if self._look_back(picture):
                    continue
            if self._left:
                trial, rung = self._left.pop(0)
                return Climb(trial, rung, picture.epochs(trial, rung))
            self._prune(picture)
            climb = next(picture.open_climbs(), None)
            if climb is None:
                self._close(picture)
                return None
            if self._claim(climb):
                return climb

    def reached(self, climb: Climb) -> bool:
        """Tell whether a climb has come to its end, whoever brought it there."""
        marks = self._marks()
        over = climb.trial in marks.end or climb.trial in marks.lost
        return over or (climb.trial, climb.rung) in marks.at

    def _marks(self) -> Marks:
        return read_marks(self.store.sizes(RUNGS))

    def _picture(self) -> Picture:
        late = self.rungs.until is not None and CLOCK.now() >= self.rungs.until
        marks = self._marks()
        self._note(marks)
        elsewhere = {n for unit in self.rungs.units for n in unit if n not in self.trials}
        settled = frozenset(self._settled | elsewhere.difference(marks.end))
        return Picture(self.rungs, marks, self.round_number, late, settled)

    def _claim(self, climb: Climb) -> bool:
        key = claim_key(climb.trial, climb.rung, round_number=self.round_number)
        body = {"pack": self.pack, "attempt": self.attempt, "at": CLOCK.now()}
        return self.store.create(key, json.dumps(body).encode())

    def _look_back(self, picture: Picture) -> bool:
        """Find what earlier lives of this pack left; tell whether marks were added."""
        added = False
        for trial, rung in picture.under_way() if self.attempt > 1 else ():
            key = claim_key(trial, rung, round_number=self.round_number)
            if json.loads(self.store.read(key))["pack"] != self.pack:
                continue
            if trial in self.known:  # killed between its record and its mark
                record = self.known[trial]
                name = mark_key(record, rung=rung, direction=self.direction)
                self.store.write(name, to_line(record))
                added = True
            else:
                self._left.append((trial, rung))
        return added

    def _prune(self, picture: Picture) -> None:
        """Record the resting trials that nothing can promote any more."""
        places = [(t, rung) for t, rung in picture.hopeless() if t not in self._settled]
        if not places:
            return
        now = CLOCK.now()
        records = []
        for trial, rung in places:
            rested = self._rested(trial, rung, picture.marks)
            records.append(
                replace(
                    rested,
                    state=State.PRUNED,
                    round=self.round_number,
                    finished=max(rested.finished, now),
                    attempt_cpu_seconds=0.0,  # its lines at the rungs have told it
                    attempt_gpu_seconds=0.0,
                )
            )
        self.write(b"".join(map(to_line, records)))
        self.batches += 1
        key = pruned_key(pack=self.pack, attempt=self.attempt, number=self.batches)
        self.store.write(key, json.dumps([record.trial for record in records]).encode())
        self._settled.update(record.trial for record in records)
        for record in records:
            clear_checkpoints(self.store, record.trial)
            self.shown(record)

    def _note(self, marks: Marks) -> None:
        for key in marks.pruned:
            if key not in self._read:
                self._read.add(key)
                self._settled.update(json.loads(self.store.read(key)))

    def _rested(self, trial: int, rung: int, marks: Marks) -> Record:
        key = marks.keys[trial, rung]
        try:
            return from_json(json.loads(self.store.read(key)))
        except ValueError as error:
            raise CorruptPlan(f"{self.store.url}/{key}: {error}; restore the object") from None

    def _close(self, picture: Picture) -> None:
        """Record as cancelled what will not begin any more."""
        if not picture.late:
            return
        now = CLOCK.now()
        trials = [trial for trial in picture.unbegun() if trial not in self._settled]
        self._settled.update(trials)
        lines = [
            Record(
                trial=trial,
                state=State.CANCELLED,
                error=LATE,
                attempt=self.attempt,
                pack=self.pack,
                round=self.round_number,
                started=now,
                finished=now,
            )
            for trial in trials
        ]
        if lines:
            self.write(b"".join(map(to_line, lines)))
