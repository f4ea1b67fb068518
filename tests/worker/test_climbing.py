"""Open slots that share a study's rungs: nothing twice, nothing lost, whoever dies."""

from __future__ import annotations

import math
import random
import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sweep.plan.records import lines_of, to_line
from sweep.plan.rungs import Rungs, mark_key
from sweep.plan.trial import Record, State
from sweep.search.brackets import brackets
from sweep.search.climbing import Climb
from sweep.store import Store, open_store
from sweep.worker.climbing import Climber

EPOCHS = 9
worths = st.lists(st.integers(0, 30).map(float) | st.just(math.inf), min_size=1, max_size=14)


@dataclass
class Slots:
    """Slots of one round that take turns in an order that is drawn, and die now and then."""

    store: Store
    rungs: Rungs
    costs: list[float]  # by trial
    order: random.Random
    dies: float = 0.0
    fails: float = 0.0
    stops_early: float = 0.0
    round_number: int = 1
    first_pack: int = 0
    late_after: int | None = None  # climbs after which nothing new begins
    trials: frozenset[int] = frozenset()  # of the round; none: all
    trained: Counter[tuple[int, int]] = field(default_factory=Counter)  # trial and rung
    ended: dict[int, State] = field(default_factory=dict)
    lives: Counter[int] = field(default_factory=Counter)
    records: dict[int, Record] = field(default_factory=dict)

    def run(self, slots: int) -> None:
        packs = range(self.first_pack, self.first_pack + slots)
        self.climbers = {pack: self.new(pack) for pack in packs}
        busy: dict[int, Climb] = {}
        while self.climbers:
            if self.late_after is not None and self.trained.total() >= self.late_after:
                self.rungs = replace(self.rungs, until=0.0)
                for climber in self.climbers.values():
                    climber.rungs = self.rungs
            pack = self.order.choice(sorted(self.climbers))
            if pack not in busy:
                climb = self.climbers[pack].next()
                if climb is None:
                    del self.climbers[pack]
                else:
                    busy[pack] = climb
            elif self.order.random() < self.dies and self.lives[pack] < 4:
                del busy[pack]
                self.climbers[pack] = self.new(pack)
            else:
                self.train(busy.pop(pack))

    def new(self, pack: int) -> Climber:
        self.lives[pack] += 1
        return Climber(
            store=self.store,
            rungs=self.rungs,
            trials=self.trials or frozenset(range(len(self.costs))),
            round_number=self.round_number,
            pack=pack,
            attempt=self.lives[pack],
            direction="minimize",
            write=self.write,
            known={},
        )

    def write(self, data: bytes) -> None:
        for line in lines_of(data, where="", attempt=1, part=0)[0]:
            twice = self.ended.get(line.record.trial)
            assert twice is None or twice is line.record.state is State.CANCELLED
            self.ended[line.record.trial] = line.record.state

    def train(self, climb: Climb) -> None:
        self.trained[climb.trial, climb.rung] += 1
        cost = self.costs[climb.trial]
        state, objective = State.PAUSED, None if math.isinf(cost) else cost
        if climb.epochs == EPOCHS or self.order.random() < self.stops_early:
            state = State.COMPLETED
        if math.isinf(cost):
            state = State.INFEASIBLE
        if self.order.random() < self.fails:
            state = State.FAILED
        record = Record(climb.trial, state, objective)
        key = mark_key(record, rung=climb.rung, direction="minimize")
        self.store.write(key, to_line(record))
        if state.terminal:
            assert climb.trial not in self.ended
            self.ended[climb.trial] = state


def rungs_of(trials: int, *, seeds: int = 1, count: int | None = 1) -> Rungs:
    ladder = brackets(least=1, most=EPOCHS, factor=3, count=count)
    units = [tuple(range(n, min(n + seeds, trials))) for n in range(0, trials, seeds)]
    return Rungs(brackets=tuple(b.rungs for b in ladder), factor=3, units=tuple(units))


@pytest.mark.parametrize("count", [1, None])
@settings(max_examples=100, deadline=None)
@example([math.inf, math.inf, 0.0, math.inf, math.inf, 0.0], 1, 1, 0, False)  # most diverge
@given(worths, st.integers(1, 3), st.integers(1, 4), st.integers(0, 10**6), st.booleans())
def test_no_trial_is_trained_twice_to_a_rung_and_none_is_left(
    count: int | None, costs: list[float], seeds: int, slots: int, seed: int, rough: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        study = Slots(
            open_store(folder),
            rungs_of(len(costs), seeds=seeds, count=count),
            costs,
            random.Random(seed),
            **({"dies": 0.2, "fails": 0.1, "stops_early": 0.1} if rough else {}),
        )

        study.run(slots)

    assert set(study.trained.values()) <= {1}
    assert set(study.ended) == set(range(len(costs)))


@pytest.mark.parametrize("count", [1, None])
@settings(max_examples=100, deadline=None)
@given(worths, st.integers(1, 3), st.integers(0, 20), st.integers(0, 10**6))
def test_what_was_settled_in_time_stays_so_when_there_is_more_time(
    count: int | None, costs: list[float], slots: int, late_after: int, seed: int
) -> None:
    order = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        store, rungs = open_store(folder), rungs_of(len(costs), count=count)
        first = Slots(store, rungs, costs, order, late_after=late_after)
        first.run(slots)
        begun = {n for n, state in first.ended.items() if state is not State.CANCELLED}
        left = frozenset(range(len(costs))) - begun
        second = Slots(store, rungs, costs, order, round_number=2, first_pack=slots, trials=left)

        second.run(slots if left else 0)

    assert set(second.ended) == left
    assert not {trial for trial, _ in second.trained} - left
    assert set((first.trained + second.trained).values()) <= {1}


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 99).map(float), min_size=9, max_size=9, unique=True))
def test_one_slot_alone_halves_as_the_paper_does(costs: list[float]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        study = Slots(open_store(folder), rungs_of(9), costs, random.Random(0))

        study.run(1)

    best = min(range(9), key=costs.__getitem__)
    whole = [trial for trial, rung in study.trained if rung == 2]
    assert study.ended[best] is State.COMPLETED
    assert whole[0] in range(9)
    assert sum(rung == 0 for _, rung in study.trained) == 9
    assert sum(rung == 1 for _, rung in study.trained) >= 3


def test_what_slots_of_an_earlier_round_had_claimed_is_taken_up(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    before = Slots(store, rungs_of(4), [1.0, 2.0, 3.0, 4.0], random.Random(0))
    first = before.new(0).next()
    assert first is not None
    before.train(first)
    left = before.new(1).next()  # claimed, and its slot is gone with the round

    after = Slots(store, rungs_of(4), before.costs, random.Random(0), round_number=2)
    after.run(2)

    assert left is not None
    assert after.trained[left.trial, 0] == 1
    assert (first.trial, 0) not in after.trained
    assert set(after.ended) == {0, 1, 2, 3}


def test_a_record_without_its_mark_is_marked_by_the_slot_s_next_life(tmp_path: Path) -> None:
    study = Slots(open_store(str(tmp_path)), rungs_of(1), [1.0], random.Random(0))
    climb = study.new(0).next()
    assert climb is not None

    again = study.new(0)
    again.known = {0: Record(0, State.COMPLETED, 1.0)}

    assert again.next() is None
    assert again.reached(climb)


def test_a_decision_costs_two_requests(tmp_path: Path) -> None:
    counted: Any = Counted(open_store(str(tmp_path)))
    study = Slots(counted, rungs_of(9), [1.0] * 9, random.Random(0))
    climber = study.new(0)

    climber.next()

    assert counted.calls == ["sizes", "create"]


def test_after_its_time_nothing_begins_and_what_rests_is_decided(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    study = Slots(store, rungs_of(9), [float(n) for n in range(9)], random.Random(0))
    climber = study.new(0)
    for _ in range(3):
        climb = climber.next()
        assert climb is not None
        study.train(climb)

    late = Rungs(brackets=study.rungs.brackets, factor=3, units=study.rungs.units, until=1.0)
    study.rungs = late
    study.run(1)

    assert [study.ended[n] for n in range(3)] == [State.COMPLETED, State.PRUNED, State.PRUNED]
    assert {study.ended[n] for n in range(3, 9)} == {State.CANCELLED}


class Counted:
    """A store that writes down which of its calls were made."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> object:
        self.calls.append(name)
        return getattr(self._store, name)
