from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sweep.errors import BadInput, UnknownName
from sweep.plan.settings import Data
from sweep.train import data as room

Write = Callable[..., Path]
Hourly = Callable[..., str]
JFK = Data(time="time_hour", target=["temp"], covariates=["dewp", "pressure"])


def make_data(path: Path, **values: object) -> Data:
    plain = Data(path=str(path), target=["a"], covariates=["b"], lookback=4, horizon=3)
    return replace(plain, **values)  # type: ignore[arg-type]


def test_the_vendored_weather_lies_on_its_full_grid_without_gaps() -> None:
    series = room.load(JFK)

    assert series.values.shape == (8730, 3)
    assert series.columns == ("temp", "dewp", "pressure")
    assert (series.train_end, series.val_end) == (6111, 6984)
    assert series.filled == 24 * 3 + 831  # absent hours, and missing pressures
    assert np.isfinite(series.values).all()


def test_the_scaler_is_mean_and_population_deviation_of_the_training_rows(
    write: Write, make_hourly: Hourly
) -> None:
    series = room.load(make_data(write(make_hourly(100))))

    np.testing.assert_allclose(series.scaler.mean[0], np.arange(70).mean())
    np.testing.assert_allclose(series.scaler.sd[0], np.arange(70).std())
    np.testing.assert_allclose(series.values[:70].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(series.values[:70].std(axis=0), 1)


def test_a_constant_column_becomes_zero(write: Write) -> None:
    rows = [f"2020-01-{1 + r // 24:02}T{r % 24:02}:00:00Z,0.1,{r}" for r in range(60)]
    series = room.load(make_data(write("\n".join(["time,a,b", *rows]))))

    np.testing.assert_array_equal(series.values[:, 0], 0)
    assert series.scaler.sd[0] == 1


def test_later_rows_change_nothing_before_them(write: Write, make_hourly: Hourly) -> None:
    text = make_hourly(100)
    changed = text.replace(",85,", ",-4000,").replace(",86,", ",,")
    split = [70.0, 10.0, 20.0]

    before = room.load(make_data(write(text, "one.csv"), split=split))
    after = room.load(make_data(write(changed, "two.csv"), split=split))

    np.testing.assert_array_equal(before.values[:85], after.values[:85])
    np.testing.assert_array_equal(before.scaler.mean, after.scaler.mean)
    assert before.values[85, 0] != after.values[85, 0]
    assert after.values[86, 0] == after.values[85, 0]  # the gap repeats what came before it


def test_a_leading_gap_takes_the_mean_of_the_training_rows(
    write: Write, make_hourly: Hourly
) -> None:
    text = make_hourly(100).replace("T00:00:00Z,0,", "T00:00:00Z,,", 1)

    series = room.load(make_data(write(text)))

    raw = series.values[0, 0] * series.scaler.sd[0] + series.scaler.mean[0]
    assert raw == pytest.approx(np.arange(1, 70).mean())


@given(
    values=hnp.arrays(
        np.float64, (12, 2), elements=st.one_of(st.floats(-9, 9), st.just(float("nan")))
    ),
    cut=st.integers(1, 11),
)
def test_filling_never_looks_ahead(values: np.ndarray, cut: int) -> None:
    leading = np.array([100.0, 200.0])

    filled = room.fill(values, leading=leading)

    np.testing.assert_array_equal(filled[:cut], room.fill(values[:cut], leading=leading))
    known = ~np.isnan(values)
    np.testing.assert_array_equal(filled[known], values[known])
    assert np.isfinite(filled).all()


@pytest.mark.parametrize(
    ("split", "rows", "expected"),
    [
        ([0.7, 0.1, 0.2], 8730, (6111, 6984, 8730)),
        ([0.7, 0.1, 0.2], 10, (7, 8, 10)),
        ([0.6, 0.3, 0.1], 10, (6, 9, 10)),
        ([8640.0, 2880.0, 2880.0], 17420, (8640, 11520, 14400)),
    ],
)
def test_a_split_is_shares_or_rows(
    split: list[float], rows: int, expected: tuple[int, int, int]
) -> None:
    assert room.boundaries(split, rows=rows) == expected


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 20))
def test_validation_and_test_windows_are_the_same_for_every_lookback(
    one: int, other: int, horizon: int
) -> None:
    series = room.load(JFK)

    first = room.windows(series, replace(JFK, lookback=one, horizon=horizon))
    second = room.windows(series, replace(JFK, lookback=other, horizon=horizon))

    np.testing.assert_array_equal(first.val, second.val)
    np.testing.assert_array_equal(first.test, second.test)


@given(lookback=st.integers(1, 100), horizon=st.integers(1, 48))
def test_windows_stay_within_their_part_with_stride_one(lookback: int, horizon: int) -> None:
    series = room.load(JFK)

    places = room.windows(series, replace(JFK, lookback=lookback, horizon=horizon))

    for starts, first, end in [
        (places.train, lookback, series.train_end),
        (places.val, series.train_end, series.val_end),
        (places.test, series.val_end, len(series.values)),
    ]:
        np.testing.assert_array_equal(starts, np.arange(first, end - horizon + 1))


def test_windows_of_the_published_protocol_are_as_many_as_published() -> None:
    series = replace(
        room.load(JFK), values=np.zeros((14400, 3)), train_end=8640, val_end=11520, test_start=11520
    )

    places = room.windows(series, replace(JFK, lookback=96, horizon=96))

    assert [len(part) for part in (places.train, places.val, places.test)] == [8449, 2785, 2785]


def test_inputs_end_where_outputs_start(write: Write, make_hourly: Hourly) -> None:
    series = room.load(make_data(write(make_hourly(100))))

    x = room.inputs(series, lookback=4)
    y = room.outputs(series, horizon=3)

    np.testing.assert_array_equal(x[50 - 4], series.values[46:50])
    np.testing.assert_array_equal(y[50], series.values[50:53, :1])
    assert np.shares_memory(x, series.values)


def test_the_hash_follows_what_was_used(write: Write, make_hourly: Hourly) -> None:
    path = write(make_hourly(100))
    plain = make_data(path)
    other = write(make_hourly(101), "other.csv")

    same = room.load(replace(plain, lookback=9, horizon=2)).hash
    changed = [
        room.load(replace(plain, **change)).hash
        for change in (
            {"path": str(other)},
            {"covariates": []},
            {"target": ["b"], "covariates": ["a"]},
            {"target": ["a", "b"], "covariates": []},
            {"split": [0.6, 0.2, 0.2]},
        )
    ]

    assert same == room.load(plain).hash
    assert len({same, *changed}) == 6


def test_a_series_is_made_once_in_a_process(write: Write, make_hourly: Hourly) -> None:
    plain = make_data(write(make_hourly(100)))

    assert room.load(plain) is room.load(replace(plain, lookback=7))


def test_a_file_with_another_hash_is_refused(write: Write, make_hourly: Hourly) -> None:
    path = write(make_hourly(100))
    right = room.load(make_data(path)).sha256

    room.load(make_data(path, sha256=right.upper()))
    with pytest.raises(BadInput, match=f"sha256 is {right}, not {'0' * 64}"):
        room.load(make_data(path, sha256="0" * 64))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lookback": 68}, r"need 71 training rows, and there are 70; shorten them"),
        ({"horizon": 11}, r"data\.horizon=11 needs as many validation rows, and there are 10"),
        ({"split": [0.7, 0.2, 0.1], "horizon": 11}, r"as many test rows, and there are 10"),
        ({"split": [70, 20, 20]}, r"asks for 110 rows, and the data have 100"),
    ],
)
def test_a_series_too_short_is_refused(
    write: Write, make_hourly: Hourly, change: dict[str, object], message: str
) -> None:
    short = make_data(write(make_hourly(100)), **change)

    with pytest.raises(BadInput, match=message):
        room.windows(room.load(short), short)


def test_a_file_of_one_row_is_refused(write: Write, make_hourly: Hourly) -> None:
    with pytest.raises(BadInput, match="holds no number in the 0 training rows"):
        room.load(make_data(write(make_hourly(1))))


def test_a_series_of_exactly_one_window_is_enough(write: Write, make_hourly: Hourly) -> None:
    tight = make_data(write(make_hourly(100)), lookback=67, split=[70, 3, 3])

    places = room.windows(room.load(tight), tight)

    assert [len(part) for part in (places.train, places.val, places.test)] == [1, 1, 1]


def test_a_column_without_training_values_is_refused(write: Write, make_hourly: Hourly) -> None:
    head, *rows = make_hourly(100).splitlines()
    empty = [row.rpartition(",")[0] + "," for row in rows[:80]]

    with pytest.raises(BadInput, match="column b holds no number in the 70 training rows"):
        room.load(make_data(write("\n".join([head, *empty, *rows[80:]]))))


def test_an_unknown_data_set_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="data set 'jfk2' does not exist; did you mean jfk"):
        room.load(replace(JFK, name="jfk2"))


def test_reading_data_needs_no_torch() -> None:
    code = (
        "import sys, sweep.train.data, sweep.train.baselines, sweep.train.cost;"
        "sys.exit('torch' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
