from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from sweep.errors import BadInput, UnknownName
from sweep.train import table

Write = Callable[..., Path]
ROWS = ["2020-01-01T00:00:00Z,1,5", "2020-01-01T01:00:00Z,2,6", "2020-01-01T02:00:00Z,3,7"]


def read(
    path: Path, *, columns: tuple[str, ...] = ("a", "b"), frequency: str = "1h"
) -> table.Table:
    return table.read(path, time="time", columns=columns, frequency=frequency)


def content(*rows: str, header: str = "time,a,b") -> str:
    return "\n".join([header, *rows]) + "\n"


def test_absent_hours_become_rows_without_values(write: Write) -> None:
    path = write(content(ROWS[0], ROWS[2]))

    found = read(path)

    assert found.absent == 1
    assert found.start == datetime(2020, 1, 1, tzinfo=UTC)
    np.testing.assert_array_equal(found.values, [[1, 5], [np.nan, np.nan], [3, 7]])


def test_columns_come_in_the_order_asked_for(write: Write) -> None:
    found = read(write(content(*ROWS)), columns=("b", "a"))

    np.testing.assert_array_equal(found.values[0], [5, 1])


@pytest.mark.parametrize("missing", ["", "NA", "nan", "NULL", " n/a "])
def test_a_field_may_be_missing(write: Write, missing: str) -> None:
    found = read(write(content(ROWS[0], f"2020-01-01T01:00:00Z,{missing},6")))

    assert np.isnan(found.values[1, 0])
    assert found.values[1, 1] == 6


@pytest.mark.parametrize(
    "times",
    [
        ["2020-01-01 00:00:00", "2020-01-01 01:00:00"],
        ["2020-01-01T00:00:00+00:00", "2020-01-01T02:00:00+01:00"],
        ["2020-01-01T00:00", "2020-01-01T01:00"],
    ],
)
def test_times_are_iso_8601_in_any_zone(write: Write, times: list[str]) -> None:
    found = read(write(content(*[f"{time},1,2" for time in times])))

    assert len(found.values) == 2


def test_a_byte_order_mark_and_quotes_are_read(write: Write) -> None:
    found = read(write("\ufeff" + content('"2020-01-01T00:00:00Z","1.5",2')))

    assert found.values.tolist() == [[1.5, 2.0]]


@pytest.mark.parametrize(
    ("frequency", "expected"), [("1h", 3600), ("15min", 900), ("30 s", 30), ("2d", 172800)]
)
def test_a_frequency_is_a_number_and_a_unit(frequency: str, expected: int) -> None:
    assert table.seconds(frequency) == expected


@pytest.mark.parametrize("frequency", ["h", "0h", "1.5h", "1w", "", "-1h", "1H"])
def test_another_frequency_is_refused(frequency: str) -> None:
    with pytest.raises(BadInput, match=r"data\.frequency=.*: write a whole number and one of"):
        table.seconds(frequency)


BAD = {
    "empty file": (b"", r"the file is empty"),
    "header only": (content(), r"no rows under the header"),
    "wrong column": (content(ROWS[0], header="time,a,bb"), r"column 'b' does not exist.*bb"),
    "column twice": (content(ROWS[0] + ",1", header="time,a,b,a"), r"column a stands 2 times"),
    "no number": (content(ROWS[0], "2020-01-01T01:00:00Z,1,x1"), r"line 3: b='x1' is not a number"),
    "infinite": (content("2020-01-01T00:00:00Z,inf,1"), r"line 2: a='inf' is not finite"),
    "no time": (content("yesterday,1,2"), r"line 2: time='yesterday' is not a time"),
    "short row": (content(ROWS[0], "2020-01-01T01:00:00Z,1"), r"line 3: 2 fields .* header has 3"),
    "all missing": (content("2020-01-01T00:00:00Z,1,"), r"column b holds no number"),
    "twice": (
        content(ROWS[0], ROWS[1], ROWS[1]),
        r"line 4: time 2020-01-01T01:00:00Z stands twice",
    ),
    "unsorted": (content(ROWS[1], ROWS[0]), r"line 3: time .* comes after a later one; sort"),
    "off grid": (
        content(ROWS[0], "2020-01-01T01:30:00Z,1,2"),
        r"line 3: .* not on the 3600 s grid",
    ),
    "fraction": (content(ROWS[0], "2020-01-01T01:00:00.5Z,1,2"), r"line 3: .* not on the 3600 s"),
    "not text": (b"time,a,b\n\xff\xfe,1,2\n", r"line 2: not UTF-8"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_one_clear_line_with_its_place(write: Write, case: str) -> None:
    text, message = BAD[case]
    path = write(text)

    with pytest.raises(BadInput, match=message) as caught:
        read(path)

    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_column_names_the_nearest(write: Write) -> None:
    with pytest.raises(UnknownName, match="did you mean temperature"):
        read(write(content(ROWS[0], header="time,a,temperature")), columns=("temprature",))


def test_the_line_is_counted_in_the_file_and_not_in_rows(write: Write) -> None:
    quoted = '"2020-01-01T00:00:00Z","1",""\n\n2020-01-01T01:00:00Z,?,2'

    with pytest.raises(BadInput, match="line 4: a='\\?'"):
        read(write(content(quoted)))


def test_a_frequency_far_below_the_rows_step_is_refused(write: Write) -> None:
    days = [datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(3)]
    path = write(content(*[f"{day.isoformat()},1,2" for day in days]))

    with pytest.raises(BadInput, match="only 3 of 49 times at a step of 3600 s have a row"):
        read(path)


@pytest.mark.parametrize("make", ["absent", "folder"])
def test_a_path_that_is_no_file_is_refused(tmp_path: Path, make: str) -> None:
    path = tmp_path if make == "folder" else tmp_path / "absent.csv"

    with pytest.raises(BadInput, match=r"set data\.path to a CSV file"):
        read(path)


def test_a_file_is_read_once_until_it_changes(write: Write) -> None:
    path = write(content(*ROWS))
    first = read(path)

    assert read(path) is first

    write(content(*ROWS, "2020-01-01T03:00:00Z,4,8"))
    assert len(read(path).values) == 4
