"""Score what needs no network, over exactly the windows that trials are scored on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from sweep.plan.settings import Data
from sweep.train.data import Array, Index, Series, Windows, inputs, load, outputs, windows

DAY_S, WEEK_S = 86_400, 604_800
LENGTHS = (8, 16, 24, 48, 72, 96, 168, 336)  # time steps that ridge tries
PENALTIES = tuple(10.0**power for power in range(-1, 6))  # lambdas that ridge tries
MOST_FEATURES = 1200  # of ridge: keeps its eigendecomposition at about a second
CHUNK = 2048  # windows at a time


@dataclass(frozen=True, slots=True)
class Baseline:
    """One forecast without a network; errors on train-standardised targets."""

    name: str
    detail: str
    val_mse: float
    val_mae: float
    test_mse: float
    test_mae: float


def baselines(data: Data) -> dict[str, Baseline]:
    """Score persistence, seasonal naive and ridge; one that does not fit the data is left out.

    `data.lookback` plays no part: each baseline looks back as far as it likes, ridge as far as
    validation says. Raises BadInput for data that cannot be used.
    """
    found = (persistence(data), seasonal(data), ridge(data))
    return {baseline.name: baseline for baseline in found if baseline is not None}


def persistence(data: Data) -> Baseline:
    """Score the last value of each target, repeated."""
    task = _task(data)
    target: Array = task.series.values[:, : task.series.targets]

    def forecast(starts: Index) -> Array:
        return np.repeat(target[starts - 1][:, None], task.horizon, axis=1)

    detail = "the last value, repeated"
    return _scored(task, name="persistence", detail=detail, forecast=forecast)


def seasonal(data: Data) -> Baseline | None:
    """Score the values of the season before, repeated; None where the data have no season."""
    task = _task(data)
    season = period(task.series.step_s)
    if season is None or season > task.series.train_end:
        return None
    target: Array = task.series.values[:, : task.series.targets]
    ahead = np.arange(task.horizon) % season

    def forecast(starts: Index) -> Array:
        before: Index = starts[:, None] - season + ahead
        return target[before]

    detail = f"the values of {season} steps before, repeated"
    return _scored(task, name="seasonal naive", detail=detail, forecast=forecast)


def ridge(data: Data) -> Baseline | None:
    """Score ridge regression on the flattened window of all columns, fitted on training rows.

    Length and penalty are those of the lowest validation MSE; None where no length fits.
    """
    task = _task(data)
    series, columns = task.series, len(task.series.columns)
    best: tuple[float, str, Forecast] | None = None
    for length in LENGTHS:
        train = np.arange(length, series.train_end - task.horizon + 1)
        if len(train) == 0 or length * columns > MOST_FEATURES:
            continue
        for penalty, forecast in _ridges(task, length=length, train=train):
            mse, _ = _errors(task, forecast=forecast, starts=task.places.val)
            if best is None or mse < best[0]:
                best = mse, f"window of {length}, lambda {penalty:g}", forecast
    if best is None:
        return None
    return _scored(task, name="ridge", detail=best[1], forecast=best[2])


def period(step_s: int) -> int | None:
    """Name the season: a day for steps within it, a week for daily steps, else none."""
    if step_s < DAY_S and DAY_S % step_s == 0:
        return DAY_S // step_s
    return WEEK_S // step_s if step_s == DAY_S else None


Forecast = Callable[[Index], Array]  # start rows [W] to forecasts [W, F, D]


@dataclass(frozen=True, slots=True)
class _Task:
    series: Series
    truth: Array  # [N - F + 1, F, D]
    places: Windows

    @property
    def horizon(self) -> int:
        return len(self.truth[0])


def _task(data: Data) -> _Task:
    series = load(data)
    # Validation and test windows are the same for every lookback, so the shortest will do.
    places = windows(series, replace(data, lookback=1))
    return _Task(series, outputs(series, horizon=data.horizon), places)


def _ridges(task: _Task, *, length: int, train: Index) -> Iterator[tuple[float, Forecast]]:
    """Fit all penalties from one eigendecomposition; the intercept bears no penalty."""
    window = inputs(task.series, lookback=length)
    features, size = window.shape[1] * window.shape[2], task.horizon * task.series.targets

    def x(starts: Index) -> Array:
        return window[starts - length].reshape(len(starts), features)

    def y(starts: Index) -> Array:
        return task.truth[starts].reshape(len(starts), size)

    gram, cross = np.zeros((features, features)), np.zeros((features, size))
    mean_x, mean_y = np.zeros(features), np.zeros(size)
    for starts in _chunks(train):
        gram += x(starts).T @ x(starts)
        cross += x(starts).T @ y(starts)
        mean_x += x(starts).sum(axis=0) / len(train)
        mean_y += y(starts).sum(axis=0) / len(train)
    gram -= len(train) * np.outer(mean_x, mean_x)
    cross -= len(train) * np.outer(mean_x, mean_y)
    values, vectors = np.linalg.eigh(gram)
    rotated = vectors.T @ cross
    for penalty in PENALTIES:
        slope = vectors @ (rotated / (np.maximum(values, 0.0) + penalty)[:, None])

        def forecast(starts: Index, slope: Array = slope) -> Array:
            flat = (x(starts) - mean_x) @ slope + mean_y
            return flat.reshape(len(starts), task.horizon, task.series.targets)

        yield penalty, forecast


def _scored(task: _Task, *, name: str, detail: str, forecast: Forecast) -> Baseline:
    val_mse, val_mae = _errors(task, forecast=forecast, starts=task.places.val)
    test_mse, test_mae = _errors(task, forecast=forecast, starts=task.places.test)
    return Baseline(name, detail, val_mse, val_mae, test_mse, test_mae)


def _errors(task: _Task, *, forecast: Forecast, starts: Index) -> tuple[float, float]:
    squared = absolute = 0.0
    for chunk in _chunks(starts):
        error = forecast(chunk) - task.truth[chunk]
        squared += float(np.square(error).sum())
        absolute += float(np.abs(error).sum())
    count = len(starts) * task.truth[0].size
    return squared / count, absolute / count


def _chunks(starts: Index) -> Iterator[Index]:
    for first in range(0, len(starts), CHUNK):
        yield starts[first : first + CHUNK]
