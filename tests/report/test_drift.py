from __future__ import annotations

from typing import Any

from sweep.report.drift import drift

COLUMN = {"low": 0.0, "high": 10.0, "mean": 5.0, "sd": 2.0, "missing": 0.01}


def profile(rows: int = 100, **columns: dict[str, float]) -> dict[str, Any]:
    return {"rows": rows, "columns": {name: {**COLUMN, **own} for name, own in columns.items()}}


def looks(now: dict[str, Any], before: dict[str, Any]) -> list[str]:
    return drift(now, before)[1]


def test_the_same_inputs_are_said_to_be_the_same() -> None:
    lines, worth = drift(profile(temp={}), profile(temp={}))

    assert lines == ["100 rows, 1 column", "the same as last time"]
    assert worth == []


def test_more_rows_are_told_and_fewer_are_worth_a_look() -> None:
    assert drift(profile(124, temp={}), profile(temp={}))[0][1] == "24 rows more than last time"
    assert looks(profile(124, temp={}), profile(temp={})) == []
    assert looks(profile(60, temp={}), profile(temp={})) == ["40 rows fewer than last time"]


def test_a_value_far_outside_of_the_former_range_is_worth_a_look() -> None:
    assert looks(profile(temp={"high": 10.5}), profile(temp={})) == []
    assert looks(profile(temp={"high": 99.0}), profile(temp={})) == [
        "temp reaches 99; it ranged from 0 to 10"
    ]
    assert looks(profile(temp={"low": -9999.0}), profile(temp={})) == [
        "temp reaches -9999; it ranged from 0 to 10"
    ]


def test_more_missing_values_and_a_moved_mean_are_worth_a_look() -> None:
    assert looks(profile(temp={"missing": 0.2}), profile(temp={})) == [
        "temp lacks 20.0% of its values; it lacked 1.0%"
    ]
    assert looks(profile(temp={"mean": 7.0}), profile(temp={})) == [
        "the mean of temp moved from 5 to 7"
    ]


def test_columns_that_come_and_go_are_named() -> None:
    lines, worth = drift(profile(wind={}), profile(temp={}))

    assert "wind is new" in lines
    assert worth == ["temp is gone"]


def test_the_first_time_there_is_nothing_to_compare_with() -> None:
    assert drift(profile(temp={}), None)[1] == []
    assert drift({}, None) == ([], [])
