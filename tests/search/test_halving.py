"""ASHA's rule, for any order of arrival, against the paper's own algorithm told once more."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import BadInput
from sweep.search.brackets import bracket_of, brackets, rungs, sizes
from sweep.search.halving import (
    Bracket,
    Reached,
    Standing,
    cost_at,
    decided,
    next_job,
    promotions,
    pruned,
)

costs = st.lists(st.integers(0, 20).map(float) | st.just(math.inf), min_size=1, max_size=25)
ladders = st.sampled_from([Bracket((1, 3, 9), 3), Bracket((1, 2, 4, 8), 2), Bracket((5,), 3)])


@dataclass
class Study:
    """Trials of a bracket whose jobs end in an order that is drawn."""

    costs: list[float]
    bracket: Bracket
    order: random.Random
    reached: list[Reached] = field(default_factory=list)
    claimed: list[tuple[int, int]] = field(default_factory=list)
    running: list[tuple[int, int]] = field(default_factory=list)
    lost: set[int] = field(default_factory=set)
    begun: int = 0

    @property
    def standing(self) -> Standing:
        first = {item.trial for item in self.reached if item.rung == 0}
        coming = len(self.costs) - len(first) - len(self.lost - first)
        return Standing(tuple(self.reached), tuple(self.claimed), frozenset(self.lost), coming)

    def take(self) -> bool:
        job = next_job(self.standing, bracket=self.bracket, unbegun=len(self.costs) - self.begun)
        if job is None:
            return False
        trial = self.begun if job.trial is None else job.trial
        if job.trial is None:
            self.begun += 1
        else:
            self.claimed.append((trial, job.rung - 1))
        self.running.append((trial, job.rung))
        return True

    def end_one(self, *, fails: float = 0.0) -> None:
        trial, rung = self.running.pop(self.order.randrange(len(self.running)))
        if self.order.random() < fails:
            self.lost.add(trial)
        else:
            self.reached.append(Reached(trial, rung, self.costs[trial]))

    def run(self, *, workers: int, fails: float = 0.0) -> None:
        while True:
            while len(self.running) < workers and self.take():
                pass
            if not self.running:
                return
            self.end_one(fails=fails)


def algorithm_2(costs: list[float], bracket: Bracket, ended: list[Reached]) -> set[tuple[int, int]]:
    """Let the paper's get_job promote after every arrival, as often as it can."""
    rungs: dict[int, list[tuple[float, int]]] = {}
    promoted: set[tuple[int, int]] = set()
    for item in ended:
        rungs.setdefault(item.rung, []).append((item.cost, item.trial))
        for k in reversed(range(len(bracket.rungs) - 1)):
            top = sorted(rungs.get(k, []))[: len(rungs.get(k, [])) // bracket.factor]
            promoted.update((trial, k) for cost, trial in top if cost < math.inf)
    return promoted


@given(costs, ladders, st.integers(1, 5), st.integers(0, 10**6))
def test_promotions_are_those_of_the_papers_algorithm(
    costs: list[float], bracket: Bracket, workers: int, seed: int
) -> None:
    study = Study(costs, bracket, random.Random(seed))

    study.run(workers=workers)

    # A free worker always takes an open promotion, so by the end each was taken.
    assert set(study.claimed) >= {
        (item.trial, rung)
        for rung in range(bracket.last)
        for item in sorted(
            (r for r in study.reached if r.rung == rung), key=lambda r: (r.cost, r.trial)
        )[: sum(r.rung == rung for r in study.reached) // bracket.factor]
        if item.cost < math.inf
    }
    assert set(study.claimed) <= algorithm_2(costs, bracket, study.reached)


@given(costs, ladders, st.integers(0, 10**6))
def test_taken_at_once_promotions_are_exactly_the_papers(
    costs: list[float], bracket: Bracket, seed: int
) -> None:
    study = Study(costs, bracket, random.Random(seed))

    study.run(workers=1)

    assert set(study.claimed) == algorithm_2(costs, bracket, study.reached)


@given(costs, ladders, st.integers(1, 5), st.integers(0, 10**6))
def test_no_trial_is_promoted_twice(
    costs: list[float], bracket: Bracket, workers: int, seed: int
) -> None:
    study = Study(costs, bracket, random.Random(seed))

    study.run(workers=workers, fails=0.1)

    assert len(study.claimed) == len(set(study.claimed))
    assert len(study.reached) == len({(item.trial, item.rung) for item in study.reached})


@given(costs, ladders, st.integers(1, 5), st.integers(0, 10**6))
def test_what_is_pruned_is_never_promotable_again(
    costs: list[float], bracket: Bracket, workers: int, seed: int
) -> None:
    study = Study(costs, bracket, random.Random(seed))
    gone: set[tuple[int, int]] = set()

    while True:
        while len(study.running) < workers and study.take():
            pass
        gone.update(pruned(study.standing, bracket=bracket))
        assert gone.isdisjoint(promotions(study.standing, bracket=bracket))
        assert gone.isdisjoint(study.claimed)
        if not study.running:
            break
        study.end_one(fails=0.1)

    waiting = {
        (item.trial, item.rung)
        for item in study.reached
        if item.rung < bracket.last and (item.trial, item.rung) not in study.claimed
    }
    assert waiting == gone  # when all is over nobody stays paused


@given(costs, ladders, st.integers(0, 10**6))
def test_the_order_of_the_records_does_not_matter(
    costs: list[float], bracket: Bracket, seed: int
) -> None:
    study = Study(costs, bracket, random.Random(seed))
    study.run(workers=3)
    shuffled = list(study.reached)
    random.Random(seed + 1).shuffle(shuffled)
    standing = Standing(tuple(shuffled), (), frozenset(), 4)

    plain = Standing(tuple(study.reached), (), frozenset(), 4)

    assert promotions(standing, bracket=bracket) == promotions(plain, bracket=bracket)
    assert pruned(standing, bracket=bracket) == pruned(plain, bracket=bracket)


def test_the_highest_rung_goes_first_and_there_the_best() -> None:
    reached = [Reached(t, 0, float(t)) for t in range(6)] + [Reached(t, 1, 9.0 - t) for t in (0, 1)]
    bracket = Bracket((1, 2, 4), 2)

    found = promotions(Standing(tuple(reached)), bracket=bracket)

    assert found == [(1, 1), (2, 0)]


def test_a_trial_that_diverged_counts_but_never_goes_on() -> None:
    bracket = Bracket((1, 3), 2)
    reached = (Reached(0, 0, math.inf), Reached(1, 0, math.inf))

    assert promotions(Standing(reached), bracket=bracket) == []
    assert pruned(Standing(reached, coming=9), bracket=bracket) == [(0, 0), (1, 0)]


def test_a_record_above_counts_as_a_promotion_whose_claim_was_not_read() -> None:
    bracket = Bracket((1, 3), 2)
    reached = (Reached(0, 0, 1.0), Reached(1, 0, 2.0), Reached(0, 1, 0.5))

    assert promotions(Standing(reached), bracket=bracket) == []


def test_the_cost_at_a_rung_is_the_lowest_until_there() -> None:
    curve = [3.0, 1.0, 2.0, 0.5]

    assert cost_at(curve, epochs=3) == 1.0
    assert cost_at(curve, epochs=5) is None
    assert cost_at([3.0, None], epochs=2) == math.inf


def test_a_rung_is_decided_of_a_trial_when_all_its_folds_are_there() -> None:
    costs = {(0, 0): 1.0, (0, 1): 3.0, (1, 0): 1.0, (2, 0): 1.0, (2, 1): math.inf}

    assert decided(costs, folds=2) == {0: 2.0, 2: math.inf}


def test_rungs_multiply_and_end_with_the_whole_training() -> None:
    assert rungs(least=1, most=27, factor=3) == (1, 3, 9, 27)
    assert rungs(least=2, most=50, factor=3) == (2, 6, 18, 50)
    assert rungs(least=5, most=5, factor=3) == (5,)


@pytest.mark.parametrize(("least", "most", "factor"), [(0, 5, 3), (6, 5, 3), (1, 5, 1)])
def test_rungs_that_are_none_are_refused(least: int, most: int, factor: int) -> None:
    with pytest.raises(BadInput):
        rungs(least=least, most=most, factor=factor)


def test_brackets_are_hyperbands() -> None:
    ladder = brackets(least=1, most=81, factor=3)

    assert [bracket.rungs[0] for bracket in ladder] == [1, 3, 9, 27, 81]
    assert sizes(ladder) == [81, 34, 15, 8, 5]  # table 1 of the paper: R=81, eta=3
    assert brackets(least=1, most=81, count=1) == [Bracket((1, 3, 9, 27, 81), 3)]


@given(st.integers(1, 5), st.integers(0, 3))
def test_each_turn_gives_every_bracket_its_size(steps: int, turn: int) -> None:
    ladder = brackets(least=1, most=2**steps, factor=2)
    shares = sizes(ladder)

    numbers = range(turn * sum(shares), (turn + 1) * sum(shares))
    given_ = [bracket_of(number, ladder) for number in numbers]

    assert [given_.count(place) for place in range(len(ladder))] == shares
