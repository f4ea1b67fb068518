import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import BadInput
from sweep.search.grid import Condition, expand

axis_values = st.lists(st.sampled_from(["1", "2", "3", "x"]), min_size=1, max_size=3, unique=True)
grids = st.dictionaries(st.sampled_from(["lr", "size", "name", "seed"]), axis_values, max_size=4)
SGD = Condition({"name": "sgd"}, {"lr": ["1", "0.1"], "momentum": ["0", "0.9"]})


@given(grids)
def test_without_conditions_a_grid_is_crossed_with_the_last_axis_fastest(
    axes: dict[str, list[str]],
) -> None:
    crossed = itertools.product(*([f"{k}={v}" for v in values] for k, values in axes.items()))

    assert expand(axes, most=1000) == list(crossed)


@given(grids, grids, st.sampled_from(["1", "2", "x"]))
def test_every_trial_is_one_that_some_condition_allows(
    axes: dict[str, list[str]], params: dict[str, list[str]], value: str
) -> None:
    params.pop("name", None)
    condition = Condition({"name": value}, params)

    trials = expand(axes, conditions=[condition], fixed={"name": "1"}, most=10_000)

    expected: set[tuple[str, ...]] = set()
    for name in axes.get("name", ["1"]):
        own = {**axes, **(params if name == value else {})}
        own = {key: [name] if key == "name" else values for key, values in own.items()}
        expected.update(itertools.product(*([f"{k}={v}" for v in vs] for k, vs in own.items())))
    assert set(trials) == expected
    assert len(trials) == len(expected)


def test_a_range_holds_where_its_condition_does() -> None:
    trials = expand({"name": ["adam", "sgd"], "lr": ["0.01"]}, conditions=[SGD], most=100)

    assert trials == [
        ("name=adam", "lr=0.01"),
        ("name=sgd", "lr=1", "momentum=0"),
        ("name=sgd", "lr=1", "momentum=0.9"),
        ("name=sgd", "lr=0.1", "momentum=0"),
        ("name=sgd", "lr=0.1", "momentum=0.9"),
    ]


def test_a_condition_may_look_at_a_setting_that_does_not_vary() -> None:
    axes = {"lr": ["0.01"]}

    assert len(expand(axes, conditions=[SGD], fixed={"name": "sgd"}, most=100)) == 4
    assert len(expand(axes, conditions=[SGD], fixed={"name": "adam"}, most=100)) == 1


def test_a_condition_holds_where_all_its_settings_do() -> None:
    both = Condition({"name": "sgd", "size": "2"}, {"lr": ["7"]})

    trials = expand(
        {"name": ["adam", "sgd"], "size": ["1", "2"], "lr": ["5"]}, conditions=[both], most=100
    )

    assert [trial[2] for trial in trials] == ["lr=5", "lr=5", "lr=5", "lr=7"]


def test_nothing_to_vary_is_one_trial() -> None:
    assert expand({}, most=1) == [()]


def test_an_axis_without_values_is_refused() -> None:
    with pytest.raises(BadInput, match="lr: the grid gives it no value"):
        expand({"lr": []}, most=10)


def test_a_conditional_axis_without_values_is_refused() -> None:
    with pytest.raises(BadInput, match="lr: the grid gives it no value"):
        expand({"name": ["sgd"]}, conditions=[Condition({"name": "sgd"}, {"lr": []})], most=10)


def test_too_many_trials_are_refused_before_any_is_built() -> None:
    axes = {f"axis{i}": [str(j) for j in range(100)] for i in range(12)}

    with pytest.raises(BadInput, match=r"has 1,000,000,000,000,000,000,000,000 trials"):
        expand(axes, most=100_000)


def test_the_limit_itself_is_allowed() -> None:
    axes = {"lr": ["1", "2"], "size": ["1", "2"]}

    assert len(expand(axes, most=4)) == 4
    with pytest.raises(BadInput, match=r"4 trials, more than hydra\.sweeper\.max_trials=3"):
        expand(axes, most=3)
