"""Turn a file into standardised windows, split in time, without a look ahead."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweep import datasets
from sweep.errors import BadInput
from sweep.plan.settings import Data
from sweep.train import table
from sweep.train.folds import Fold, forward_chaining
from sweep.train.table import Table

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Scaler:
    """Mean and population standard deviation of each column over the training rows."""

    mean: Array  # [C]
    sd: Array  # [C], 1 where a column is constant

    def forward(self, values: Array) -> Array:
        """Standardise raw values [..., C]."""
        return (values - self.mean) / self.sd


@dataclass(frozen=True, slots=True)
class Series:
    """A multivariate series on its full time grid: gaps filled, standardised, split in time."""

    columns: tuple[str, ...]  # targets first, then covariates
    targets: int  # how many of the columns are targets
    values: Array  # [N, C], standardised, read-only
    scaler: Scaler
    train_end: int  # training rows are [0, train_end)
    val_end: int  # validation rows are [train_end, val_end), none where all is trained on
    test_start: int  # test rows are from here on
    step_s: int
    filled: int  # cells that had no value
    sha256: str  # of the file
    hash: str  # of the file, and of the columns, frequency and split that were used
    fold: Fold | None = None


@dataclass(frozen=True, slots=True)
class Windows:
    """Row numbers at which targets start; the `lookback` rows before each are its input.

    Validation and test do not depend on `lookback`, so that all trials are scored on the same.
    """

    train: Index
    val: Index
    test: Index


def load(data: Data, *, fold: Fold | None = None) -> Series:
    """Read, fill, standardise and split a series, once per process.

    A gap repeats the value before it; a leading one takes the mean of the training rows, which
    are the fold's own where there is one.
    Raises BadInput for data that cannot be used, and UnknownName for a wrong name of a column or
    data set.
    """
    path, sha256 = _file(data)
    columns = (*data.target, *data.covariates)
    raw = table.read(path, time=data.time, columns=columns, frequency=data.frequency)
    if sha256 is not None and raw.sha256 != sha256.lower():
        raise BadInput(
            f"{path}: sha256 is {raw.sha256}, not {sha256}; "
            "restore the file, or correct data.sha256"
        )
    split = tuple(data.split)
    return _series(raw, targets=len(data.target), time=data.time, split=split, fold=fold)


def windows(series: Series, data: Data) -> Windows:
    """Place windows at every row of a part where they fit.

    Raises BadInput where a part is too short for one window.
    """
    rows = len(series.values)
    train = series.train_end - data.lookback - data.horizon + 1
    if train < 1:
        remedy = "shorten them, or change data.split"
        if series.fold is not None:
            remedy = f"shorten them, or make data.folds={series.fold.of} smaller"
        raise BadInput(
            f"data.lookback={data.lookback} and data.horizon={data.horizon} need "
            f"{data.lookback + data.horizon} training rows, and there are {series.train_end}; "
            f"{remedy}"
        )
    whole = series.fold is not None and series.fold.whole
    for part, length in (
        ("validation", series.val_end - series.train_end),
        ("test", rows - series.test_start),
    ):
        if length < data.horizon and not (part == "validation" and whole):
            raise BadInput(
                f"data.horizon={data.horizon} needs as many {part} rows, and there are {length}; "
                "shorten it, or change data.split"
            )
    return Windows(
        train=np.arange(data.lookback, data.lookback + train),
        val=np.arange(series.train_end, series.val_end - data.horizon + 1),
        test=np.arange(series.test_start, rows - data.horizon + 1),
    )


def inputs(series: Series, *, lookback: int) -> Array:
    """View the series as overlapping input windows [N - T + 1, T, C]; window i starts at row i."""
    view = np.lib.stride_tricks.sliding_window_view(series.values, lookback, axis=0)
    return view.swapaxes(1, 2)


def outputs(series: Series, *, horizon: int) -> Array:
    """View the targets as overlapping windows [N - F + 1, F, D]; window i starts at row i."""
    target = series.values[:, : series.targets]
    view = np.lib.stride_tricks.sliding_window_view(target, horizon, axis=0)
    return view.swapaxes(1, 2)


def fill(values: Array, *, leading: Array) -> Array:
    """Repeat the last value in each gap of [N, C]; a gap at the start takes `leading` [C]."""
    present = ~np.isnan(values)
    rows = np.arange(len(values))[:, None]
    last = np.maximum.accumulate(np.where(present, rows, -1), axis=0)
    repeated = np.take_along_axis(values, np.maximum(last, 0), axis=0)
    return np.where(last < 0, leading, repeated)


def boundaries(split: Sequence[float], *, rows: int) -> tuple[int, int, int]:
    """Tell where training, validation and test rows end.

    Shares that add up to 1 are cut down to whole rows at each boundary; anything else counts
    rows, and the rest of the file is left out. Raises BadInput where the file is too short.
    """
    parts = [Decimal(str(part)) for part in split]
    if abs(sum(parts, Decimal(-1))) <= Decimal("1e-6"):
        train, val = (int(end * rows) for end in (parts[0], parts[0] + parts[1]))
        return train, val, rows
    train, val, test = accumulate(int(part) for part in parts)
    if test > rows:
        raise BadInput(f"data.split={list(split)} asks for {test} rows, and the data have {rows}")
    return train, val, test


def _file(data: Data) -> tuple[Path, str | None]:
    if data.path is not None:
        return Path(data.path), data.sha256
    vendored = datasets.find(data.name)
    return vendored.path, data.sha256 or vendored.sha256


@lru_cache(maxsize=24)
def _series(
    raw: Table, *, targets: int, time: str, split: tuple[float, ...], fold: Fold | None
) -> Series:
    train_end, val_end, end = boundaries(split, rows=len(raw.values))
    test_start = val_end
    if fold is not None:
        train_end, val_end = forward_chaining(fold, rows=val_end)
    values = raw.values[:end]
    train = values[:train_end]
    for name, column in zip(raw.columns, train.T, strict=True):
        if np.isnan(column).all():
            raise BadInput(
                f"{raw.path}: column {name} holds no number in the {train_end} training rows; "
                "leave it out, or change data.split"
            )
    complete = fill(values, leading=np.nanmean(train, axis=0))
    scaler = _scaler(complete[:train_end])
    standardised = scaler.forward(complete)
    standardised.setflags(write=False)
    used: list[object] = [raw.sha256, raw.columns, targets, time, raw.step_s, split]
    if fold is not None:
        used += [fold.number, fold.of]
    return Series(
        columns=raw.columns,
        targets=targets,
        values=standardised,
        scaler=scaler,
        train_end=train_end,
        val_end=val_end,
        test_start=test_start,
        step_s=raw.step_s,
        filled=int(np.isnan(values).sum()),
        sha256=raw.sha256,
        hash=hashlib.sha256(json.dumps(used).encode()).hexdigest(),
        fold=fold,
    )


def _scaler(train: Array) -> Scaler:
    constant = train.min(axis=0) == train.max(axis=0)
    return Scaler(
        mean=np.where(constant, train[0], train.mean(axis=0)),  # a mean of equals is rounded
        sd=np.where(constant, 1.0, train.std(axis=0)),
    )
