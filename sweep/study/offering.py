"""Ask a strategy again as each trial ends, and offer what it says to the slots of one round."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sweep.plan import layout
from sweep.plan.packing import Pack
from sweep.plan.records import resolve_twins
from sweep.plan.round import Offers, Round, joined, round_to_bytes
from sweep.plan.story import Story
from sweep.plan.trial import Record
from sweep.store import Store
from sweep.study.outline import Outline
from sweep.study.searching import Asked, Quest, ask
from sweep.study.siting import Site
from sweep.study.studied import Studied, regrown

Plan = Callable[[Sequence[tuple[str, ...]], int], Outline]  # overrides, first number: a plan


@dataclass(slots=True, kw_only=True)
class Offerer:
    """A search whose next trials are offered as results come; nobody waits for a batch.

    `width` trials are under way or offered at a time. The caller holds the study's lease.
    """

    quest: Quest
    place: Store
    rounds: list[Round]  # of the study; the last is the one with open slots
    story: Story
    width: int
    plan: Plan
    keep: Callable[[Story], None]
    say: Callable[[str], None]
    direction: str
    enough: Callable[[Mapping[int, Record]], bool]
    now: Callable[[], float]
    since: float  # as `now` counts, less what earlier clients have searched
    over: bool = False
    _heard: int = -1  # records that the strategy was last asked with

    def hear(self, state: Studied) -> tuple[Studied, Outline] | None:
        """Offer what the results ask for; None where that is nothing new."""
        if self.over or len(state.records) == self._heard:
            return None
        self._heard = len(state.records)
        twins = ((trial.number, trial.same_as) for trial in state.trials)
        records = resolve_twins(state.records, twins)
        running = sum(trial.number not in records for trial in state.trials)
        room = (self.width - running) // self.quest.seeds
        if self.enough(records):
            self._close()
            return None
        if room < 1 and running:
            return None
        asked = self._ask(records, most=max(1, room))
        if asked is None:
            return None
        offered = self.plan(asked.words, asked.first)
        round_ = self.rounds[-1]
        assert round_.offers is not None
        key = layout.offer_key(round_.number, round_.offers.joined + 1)
        self.place.write(key, round_to_bytes(replace(offered.round, number=round_.number)))
        self.rounds[-1] = joined(round_, offered.round)
        return regrown(state, self.rounds), offered

    def _ask(self, records: Mapping[int, Record], *, most: int) -> Asked | None:
        asked = ask(
            self.quest,
            self.story,
            records=records,
            most=most,
            elapsed_s=self.now() - self.since,
            direction=self.direction,
            say=self.say,
        )
        self.story = asked.story
        self.keep(self.story)
        if not asked.words and not asked.waits:
            self._close()
        return asked if asked.words else None

    def _close(self) -> None:
        self.over = True
        close(self.place, self.rounds[-1])


def close(place: Store, round_: Round) -> None:
    """Say that nothing more is offered to a round."""
    if round_.offers is not None:
        place.write(layout.closed_key(round_.number), b"")


def with_offers(plan: Outline, *, slots: int) -> Outline:
    """Open the slots of a round whose next trials are offered to it."""
    round_ = plan.round
    first = round_.packs[0].number if round_.packs else 0
    return replace(
        plan,
        round=replace(
            round_,
            packs=[Pack(first + place, ()) for place in range(slots)],
            offers=Offers(len(round_.bases), len(round_.trials)),
        ),
    )


def slots_of(site: Site, *, trials: int | None) -> int:
    """Say how many slots a search keeps open: as many as run at a time, and no more than trials."""
    wanted = site.workers if trials is None else math.ceil(trials / site.lanes)
    return max(1, min(site.workers, wanted))
