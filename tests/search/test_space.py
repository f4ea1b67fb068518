from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_builders import axes, finite, spaces

from sweep.errors import BadInput
from sweep.search.ladder import ladder, nearest, place
from sweep.search.space import Axis, Branch, Choice, Interval, Space, identity

shares = st.floats(0, 1, exclude_max=True)
SGD = Branch({"name": "sgd"}, {"lr": Interval(low=0.01, high=1.0), "momentum": Choice((0.0, 0.9))})


@given(axes, shares)
def test_every_share_of_an_axis_is_a_value_of_it(axis: Axis, share: float) -> None:
    assert axis.at(share) in axis


@given(spaces(), st.lists(shares, min_size=9, max_size=9))
def test_every_place_is_inside_the_space(space: Space, drawn: list[float]) -> None:
    assert space.place(dict(zip(space.keys, drawn, strict=False))) in space


@given(finite)
def test_a_crossed_space_lists_each_configuration_once(space: Space) -> None:
    found = [space.crossed(index) for index in range(space.size or 0)]

    assert len({identity(point) for point in found}) == len(found)
    assert all(point in space for point in found)
    with pytest.raises(IndexError):
        space.crossed(len(found))


def test_a_branch_replaces_and_adds_axes_where_it_holds() -> None:
    space = Space({"name": Choice(("adam", "sgd")), "lr": Choice((1e-3,))}, (SGD,))

    assert space.place({"name": 0.0, "lr": 0.5, "momentum": 0.9}) == {"name": "adam", "lr": 1e-3}
    assert space.place({"name": 0.9, "lr": 0.0, "momentum": 0.9}) == {
        "name": "sgd",
        "lr": 0.01,
        "momentum": 0.9,
    }
    assert {"name": "adam", "lr": 0.01} not in space
    assert space.keys == ("name", "lr", "momentum")
    assert space.size is None


def test_branches_are_counted_where_they_hold() -> None:
    two = Branch({"name": "sgd"}, {"momentum": Choice((0.0, 0.9))})

    space = Space({"name": Choice(("adam", "sgd")), "size": Choice((1, 2, 3))}, (two,))

    assert space.size == 3 + 6


def test_a_branch_may_ask_about_a_setting_that_does_not_vary() -> None:
    assert Space({"size": Choice((1,))}, (SGD,), {"name": "sgd"}).keys == ("size", "lr", "momentum")
    assert "momentum" in Space({"size": Choice((1,))}, (SGD,), {"name": "sgd"}).active({})
    assert "momentum" not in Space({"size": Choice((1,))}, (SGD,), {"name": "adam"}).active({})


def test_numbers_of_another_type_are_other_values() -> None:
    assert 1 not in Choice((1.0, True))
    assert True not in Interval(low=0, high=2, whole=True)
    assert identity({"x": 1}) != identity({"x": 1.0}) != identity({"x": True})
    assert identity({"x": [1, [2]], "y": 1}) == identity({"y": 1, "x": [1, [2]]})


def test_a_range_gives_numbers_that_people_can_read() -> None:
    assert Interval(low=1e-4, high=1e-2, log=True).at(0.5) == 0.001
    assert Interval(low=0.0, high=1.0).at(1 / 3) == 0.3333


def test_whole_numbers_reach_both_ends() -> None:
    axis = Interval(low=1, high=3, whole=True)

    assert [axis.at(share) for share in (0.0, 0.4, 0.999)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("axis", "said"),
    [
        (Choice(()), "there is no value to choose"),
        (Interval(low=2, high=1), "has to rise"),
        (Interval(low=0, high=float("inf")), "has to rise"),
        (Interval(low=0, high=1, log=True), "begins above 0"),
        (Interval(low=0.5, high=2, whole=True), "whole numbers at both ends"),
    ],
)
def test_what_cannot_be_searched_is_refused(axis: Axis, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Space({"lr": axis})


def test_a_condition_on_a_range_is_refused() -> None:
    with pytest.raises(BadInput, match="a condition needs values"):
        Space({"x": Interval(low=0, high=1)}, (Branch({"x": 0.5}, {"y": Choice((1,))}),))


@given(axes, st.integers(-3, 400) | st.floats(-1, 300) | st.just("z") | st.none())
def test_a_ladder_has_the_nearest_to_the_start_and_stays_on_the_axis(
    axis: Axis, start: object
) -> None:
    rungs = ladder(axis, start=start)

    assert all(rung in axis for rung in rungs)
    assert len({repr(rung) for rung in rungs}) == len(rungs)
    assert rungs[place(rungs, nearest(axis, start))] in axis


@pytest.mark.parametrize(
    ("axis", "start", "rungs"),
    [
        (Interval(low=1e-4, high=1e-2, log=True), 0.001, [0.0001, 0.0003, 0.001, 0.003, 0.01]),
        (Interval(low=50, high=500, log=True, whole=True), 50, [50, 100, 200, 400, 500]),
        (Interval(low=1, high=3, whole=True), 1, [1, 2, 3]),
        (Interval(low=0.2, high=0.5), 0.2, [0.2, 0.275, 0.35, 0.425, 0.5]),
        (Choice((128, 32, 64)), 32, [32, 64, 128]),
        (Choice(("b", "a")), "a", ["b", "a"]),
    ],
)
def test_ladders_of_the_guides_ranges(axis: Axis, start: object, rungs: list[object]) -> None:
    assert list(ladder(axis, start=start)) == rungs


def test_finer_ladders_have_steps_of_half_the_size() -> None:
    axis = Interval(low=1e-4, high=1e-2, log=True)

    assert list(ladder(axis, start=0.001, finer=1))[3:6] == [0.00056, 0.001, 0.0018]
