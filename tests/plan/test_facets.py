import itertools
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sweep.plan.facets import Facet, Flat, Grid
from sweep.plan.trial import Trial

KEYS = ["a", "b", "c", "d"]
# 1, 1.0 and True are equal to Python and differ to a schema
scalars = st.sampled_from([1, 1.0, True, "1", None])
values = scalars | st.lists(scalars, max_size=2)
flats = st.dictionaries(st.sampled_from(KEYS), values)
asked = st.lists(st.sampled_from(KEYS), unique=True).map(tuple)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    bases = draw(st.lists(flats, min_size=1, max_size=2))
    rows = draw(st.lists(st.tuples(st.integers(0, len(bases) - 1), flats), max_size=8))
    return Grid(bases, [Trial(i, base, own) for i, (base, own) in enumerate(rows)])


def shown(config: Mapping[str, Any]) -> str:
    """Tell 1 from 1.0 and True."""
    return repr(sorted(config.items()))


def naive(grid: Grid, keys: tuple[str, ...]) -> list[str]:
    configs = [{**grid.flats[trial.base], **trial.values} for trial in grid.trials]
    return [shown({key: config[key] for key in keys if key in config}) for config in configs]


@given(grids(), asked)
def test_every_trial_gets_the_answer_that_its_own_settings_give(
    grid: Grid, keys: tuple[str, ...]
) -> None:
    assert grid.ask(Facet(keys, shown)) == naive(grid, keys)


@given(grids(), asked)
def test_every_distinct_combination_is_asked(grid: Grid, keys: tuple[str, ...]) -> None:
    assert set(grid.distinct(Facet(keys, shown))) == set(naive(grid, keys))


@given(grids(), asked)
def test_trials_that_differ_in_another_setting_are_told_apart(
    grid: Grid, keys: tuple[str, ...]
) -> None:
    others = naive(grid, tuple(key for key in KEYS if key not in keys))

    rests = grid.rest(keys)

    for i, j in itertools.combinations(range(len(rests)), 2):
        if rests[i] == rests[j]:
            assert others[i] == others[j]


@given(st.lists(st.fixed_dictionaries({"a": values, "b": values, "c": values}), max_size=8), asked)
def test_trials_that_agree_in_all_other_settings_are_not(
    rows: list[dict[str, Any]], keys: tuple[str, ...]
) -> None:
    grid = Grid([{"d": 0}], [Trial(i, 0, own) for i, own in enumerate(rows)])
    others = naive(grid, tuple(key for key in KEYS if key not in keys))

    rests = grid.rest(keys)

    for i, j in itertools.combinations(range(len(rests)), 2):
        assert (rests[i] == rests[j]) is (others[i] == others[j])


def test_a_large_grid_is_asked_once_per_combination() -> None:
    asked_of: list[Flat] = []

    def note(config: Flat) -> int:
        asked_of.append(config)
        return int(config["a"])

    trials = [Trial(i, 0, {"a": i % 3, "b": i % 7, "c": i % 11}) for i in range(1000)]

    answers = Grid([{"d": 4}], trials).ask(Facet(("a", "d"), note))

    assert answers == [i % 3 for i in range(1000)]
    assert asked_of == [{"d": 4, "a": 0}, {"d": 4, "a": 1}, {"d": 4, "a": 2}]


def test_a_configuration_is_its_base_with_its_own_values() -> None:
    grid = Grid([{"a": 1, "b": 2}], [Trial(0, 0, {"b": 3})])

    assert grid.config(grid.trials[0]) == {"a": 1, "b": 3}
