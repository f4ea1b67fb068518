"""Record trials that nobody trained."""

from __future__ import annotations

from sweep.clock import CLOCK
from sweep.plan import layout
from sweep.plan.records import to_line
from sweep.plan.round import Round
from sweep.plan.trial import Record, State
from sweep.study.studied import Studied

LAST_ATTEMPT = 9999  # any worker's record of the trial beats the mark


def mark_cancelled(state: Studied, round_: Round) -> int:
    """Record the round's trials that have no record as cancelled; return how many."""
    state.reader.look()
    marked = 0
    now = CLOCK.now()
    for pack in round_.packs:
        lines = b"".join(
            to_line(
                Record(
                    trial=number,
                    state=State.CANCELLED,
                    attempt=LAST_ATTEMPT,
                    pack=pack.number,
                    round=round_.number,
                    started=now,
                    finished=now,
                )
            )
            for number in round_.numbers_of(pack)
            if number not in state.records
        )
        if lines:
            state.place.create(layout.results_key(pack.number, LAST_ATTEMPT), lines)
            marked += lines.count(b"\n")
            state.reader.look()
    state.reader.look()
    return marked
