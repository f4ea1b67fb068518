"""What every strategy keeps to: the same past, the same answer; nothing twice; in bounds."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_builders import GUIDE, START, begin, bowl, end, finite, search, spaces

from sweep.errors import BadInput, UnknownName
from sweep.search.blind import Grid, Random, Sobol
from sweep.search.choosing import STRATEGIES, choose
from sweep.search.space import Choice, Interval, Space, identity
from sweep.search.strategy import Strategy, Tried
from sweep.search.warm import brought_in

QUICK = [name for name in STRATEGIES if name != "gp"]  # a Gaussian process takes a second a point
ENDLESS = [name for name in QUICK if name != "grid"]


ASK = """
import json
from search_builders import GUIDE, START, bowl, search
from sweep.search.choosing import STRATEGIES, choose
from sweep.search.space import Choice, Space

finite = Space({key: axis for key, axis in GUIDE.axes.items() if isinstance(axis, Choice)})
found = {}
for name in STRATEGIES:
    space = finite if name == "grid" else GUIDE
    past, last = search(choose(name, space, start=START), bowl, most=4, trials=12)
    found[name] = [item.point for item in past]
print(json.dumps(found))
"""


def in_a_process_of_its_own(hash_seed: str) -> str:
    """Search with every strategy where sets and hashes have an order of their own."""
    place = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": place}
    ran = subprocess.run(
        [sys.executable, "-c", ASK], env=env, capture_output=True, text=True, check=True
    )
    return ran.stdout


def made(name: str, space: Space, *, seed: int = 0) -> Strategy:
    return choose(name, space, start=START, seed=seed)


@pytest.mark.parametrize("name", ENDLESS)
@settings(max_examples=12)
@given(spaces(), st.integers(1, 5))
def test_points_are_new_and_in_the_space(name: str, space: Space, most: int) -> None:
    past, _ = search(made(name, space), most=most, trials=14)

    assert len({identity(item.point) for item in past}) == len(past)
    assert all(item.point in space for item in past)


@pytest.mark.parametrize("name", QUICK)
@settings(max_examples=12)
@given(finite, st.integers(1, 5))
def test_points_of_a_finite_space_are_new_and_in_it(name: str, space: Space, most: int) -> None:
    past, _ = search(made(name, space), most=most, trials=14)

    assert len({identity(item.point) for item in past}) == len(past)
    assert all(item.point in space for item in past)


@pytest.mark.parametrize("name", QUICK)
@settings(max_examples=12)
@given(finite)
def test_a_space_that_is_used_up_ends_the_search(name: str, space: Space) -> None:
    past, last = search(made(name, space), trials=1000)

    assert last.over
    assert len(past) <= (space.size or 0)
    assert name == "staged" or len(past) == space.size  # staged may be through before


@pytest.mark.parametrize("name", ENDLESS)
@settings(max_examples=8)
@given(st.data())
def test_after_a_kill_it_goes_on_as_if_nothing_had_happened(name: str, data: st.DataObject) -> None:
    space = data.draw(spaces())
    past, _ = search(made(name, space), most=3, trials=12)
    cut = data.draw(st.integers(0, len(past)))
    kept = past[:cut]
    running = kept and data.draw(st.booleans())
    if running:
        kept = [*kept[:-1], Tried(kept[-1].number, kept[-1].point)]

    one = made(name, space).suggest(kept, most=3)
    again = made(name, space).suggest(list(kept), most=3)

    assert one == again
    assert not {identity(p) for p in one.points} & {identity(item.point) for item in kept}


@pytest.mark.parametrize("name", QUICK)
@settings(max_examples=8)
@given(st.data())
def test_from_any_kill_on_the_rest_is_what_it_would_have_been(
    name: str, data: st.DataObject
) -> None:
    space = data.draw(finite if name == "grid" else spaces())
    whole, _ = search(made(name, space), most=1, trials=12)
    cut = data.draw(st.integers(0, len(whole)))

    resumed = whole[:cut]
    while len(resumed) < len(whole):
        [point] = made(name, space).suggest(resumed, most=1).points  # nobody remembers anything
        resumed = [*resumed, end(Tried(len(resumed), point), bowl)]

    assert resumed == whole


def test_in_another_process_every_strategy_answers_the_same() -> None:
    answers = [in_a_process_of_its_own(hash_seed) for hash_seed in ("1", "2")]

    assert answers[0] == answers[1]
    assert set(json.loads(answers[0])) == set(STRATEGIES)


@pytest.mark.parametrize("name", ["grid", "random", "sobol"])
@settings(max_examples=15)
@given(finite, st.integers(1, 4))
def test_what_needs_no_result_does_not_depend_on_batches(
    name: str, space: Space, most: int
) -> None:
    [once, in_batches] = [search(made(name, space), most=n, trials=9)[0] for n in (9, most)]

    assert [item.point for item in once] == [item.point for item in in_batches]


@pytest.mark.parametrize("name", ["random", "sobol", "tpe"])
def test_another_seed_searches_otherwise(name: str) -> None:
    one, other = (made(name, GUIDE, seed=seed).suggest([], most=4).points for seed in (0, 1))

    assert one != other


@pytest.mark.parametrize("name", ENDLESS)
def test_one_more_result_may_change_the_answer_but_never_what_runs(name: str) -> None:
    strategy = made(name, GUIDE)
    first = strategy.suggest([], most=2).points
    past = begin([], first)

    second = strategy.suggest(past, most=2)

    assert not {identity(p) for p in second.points} & {identity(p) for p in first}


def test_sobol_covers_what_random_leaves_bare() -> None:
    space = Space({"x": Interval(low=0.0, high=1.0), "y": Interval(low=0.0, high=1.0)})

    points = Sobol(space, 0).suggest([], most=16).points

    cells = {(int(4 * point["x"]), int(4 * point["y"])) for point in points}
    assert len(cells) == 16  # one in each cell of 4 x 4: a (0, m, 2)-net


def test_random_draws_fill_a_range_evenly_on_its_own_scale() -> None:
    space = Space({"lr": Interval(low=1e-4, high=1e-2, log=True)})

    drawn = [point["lr"] for point in Random(space, 1).suggest([], most=2000).points]

    assert sum(lr < 1e-3 for lr in drawn) / len(drawn) == pytest.approx(0.5, abs=0.04)


def test_tpe_learns() -> None:
    space = Space({key: Interval(low=-5.0, high=5.0) for key in "ab"})
    past, _ = search(made("tpe", space), most=2, trials=40)

    costs = [item.cost or 0.0 for item in past]

    assert sorted(costs[30:])[5] < sorted(costs[:10])[5]


def test_a_gaussian_process_keeps_to_the_same() -> None:
    space = Space({"a": Interval(low=-5.0, high=5.0), "b": Choice((1, "x"))})
    past, _ = search(made("gp", space), lambda p: math.inf if p["a"] > 4 else bowl(p), trials=10)
    running = [*past, Tried(len(past), {"a": 4.5, "b": 1})]

    one, again = (made("gp", space).suggest(running, most=1).points for _ in range(2))

    assert one == again
    assert one[0] in space
    assert identity(one[0]) not in {identity(item.point) for item in running}


def test_halving_begins_what_random_would() -> None:
    one, other = (made(name, GUIDE, seed=3).suggest([], most=5) for name in ("halving", "random"))

    assert one == other


def test_tpe_takes_diverged_and_failed_trials() -> None:
    space = Space({"a": Interval(low=-5.0, high=5.0)})
    strategy = made("tpe", space)

    past, _ = search(strategy, lambda p: float("inf") if p["a"] > 0 else bowl(p), trials=24)

    assert sum(item.point["a"] <= 0 for item in past[12:]) > 6


def test_a_grid_of_a_range_is_refused() -> None:
    with pytest.raises(BadInput, match="a grid needs values"):
        Grid(Space({"lr": Interval(low=0.0, high=1.0)}))


def test_a_grid_goes_on_with_its_last_axis_fastest() -> None:
    space = Space({"a": Choice((1, 2)), "b": Choice(("x", "y"))})

    points = Grid(space).suggest([end(Tried(0, {"a": 1, "b": "x"}), bowl)], most=9).points

    assert [tuple(point.values()) for point in points] == [(1, "y"), (2, "x"), (2, "y")]


def test_an_unknown_strategy_is_refused_by_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="staged"):
        made("stage", GUIDE)


def test_a_known_best_is_tried_first_and_brought_into_the_space() -> None:
    space = Space({"optim.lr": Interval(low=1e-4, high=1e-2, log=True), "n": Choice((1, 2))})
    best = brought_in({"optim.lr": 0.5, "n": 2, "gone": 7}, space)

    strategy = choose("random", space, start={}, first=[best])

    assert strategy.suggest([], most=5).points == ({"optim.lr": 0.01, "n": 2},)
    after = strategy.suggest([end(Tried(0, best), bowl)], most=2)
    assert len(after.points) == 2
    assert best not in after.points
