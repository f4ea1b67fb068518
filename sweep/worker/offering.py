"""Take what a client offers while it searches, one trial after another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from sweep.clock import CLOCK
from sweep.plan import layout
from sweep.plan.round import Round
from sweep.plan.trial import Record
from sweep.store import Store
from sweep.study.reading import offered_to


@dataclass(slots=True, kw_only=True)
class Offering:
    """An open slot of a round whose trials are offered as the search goes on.

    Looking costs two listings, a claim one create. Without a client nothing more is offered: what
    stands there is trained, and the slot ends.
    """

    store: Store  # the study's part
    round: Round  # with all that was offered so far
    pack: int
    attempt: int
    known: Mapping[int, Record] = field(default_factory=dict)  # results of the pack's earlier lives
    _looked_back: bool = False
    _left: list[int] = field(default_factory=list)  # what earlier lives of the pack had claimed

    def next(self) -> int | None:
        """Claim the next trial; None where there is none now."""
        self.round = offered_to(self.store, self.round)
        claims = self.store.sizes(layout.claims_prefix(self.round.number))
        taken = {layout.claimed(key) for key in claims}
        if not self._looked_back:
            self._looked_back = True
            self._left = [] if self.attempt == 1 else self._own(taken)
        if self._left:
            return self._left.pop(0)
        for trial in self.round.trials:
            if trial.same_as is None and trial.number not in taken and self._claim(trial.number):
                return trial.number
        return None

    def expects_more(self) -> bool:
        """Tell whether a client may still offer something; to be asked where nothing is left."""
        closed = layout.closed_key(self.round.number) in self.store.sizes(layout.OFFERS)
        return not closed and self.store.held(layout.LEASE)

    def _claim(self, trial: int) -> bool:
        body = {"pack": self.pack, "attempt": self.attempt, "at": CLOCK.now()}
        key = layout.claim_key(self.round.number, trial)
        return self.store.create(key, json.dumps(body).encode())

    def _own(self, taken: set[int]) -> list[int]:
        found = []
        for trial in sorted(taken - self.known.keys()):
            key = layout.claim_key(self.round.number, trial)
            if json.loads(self.store.read(key))["pack"] == self.pack:
                found.append(trial)
        return found
