"""Score what needs no network, over exactly the windows that trials are scored on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from sweep.plan.settings import Data, Settings
from sweep.train import classifying
from sweep.train.baseline import Baseline
from sweep.train.data import Array, Index, Series, Windows, inputs, load, outputs, windows
from sweep.train.folds import Fold, folds, last_fold

DAY_S, WEEK_S = 86_400, 604_800
LENGTHS = (8, 16, 24, 48, 72, 96, 168, 336)  # time steps that ridge tries
PENALTIES = tuple(10.0**power for power in range(-1, 6))  # lambdas that ridge tries
MOST_FEATURES = 1200  # of ridge, whose time grows with their third power: about a second
CHUNK = 2048  # windows at a time


@dataclass(frozen=True, slots=True)
class Scoring:
    """The loss that forecasts are compared by."""

    kind: str = "mse"  # mse, mae or quantile
    quantiles: tuple[float, ...] = ()  # of loss quantile; a baseline gives one value for all


MSE = Scoring()


def scoring_of(settings: Settings) -> Scoring:
    """Read what the trials of a configuration are compared by."""
    train = settings.train
    return Scoring(train.loss, tuple(train.quantiles) if train.loss == "quantile" else ())


def baselines(data: Data, *, scored_by: Scoring = MSE) -> dict[str, Baseline]:
    """Score persistence, seasonal naive and ridge; one that does not fit the data is left out.

    Of labelled examples other rules, see `classifying`. `data.lookback` plays no part: each
    baseline looks back as far as it likes, ridge as far as validation says. With `data.folds`
    validation scores are means over folds, and what is tested was fitted on all but the test part.
    Raises BadInput for data that cannot be used.
    """
    if data.kind != "series":
        return classifying.baselines(data)
    found = (persistence(data, scored_by), seasonal(data, scored_by), ridge(data, scored_by))
    return {baseline.name: baseline for baseline in found if baseline is not None}


def errors(settings: Settings, *, part: Literal["val", "test"]) -> dict[str, Array]:
    """Give each baseline's objective on each window of a part, in time order.

    They are paired with those of `score.errors`. Raises BadInput for data that cannot be used.
    """
    found = baselines(settings.data, scored_by=scoring_of(settings))
    return {name: one.errors(part) for name, one in found.items()}


def persistence(data: Data, scored_by: Scoring = MSE) -> Baseline:
    """Score the last value of each target, repeated."""
    tasks = _tasks(data)
    forecasts = [_repeat(task) for task in tasks]
    return _scored("persistence", "the last value, repeated", tasks, forecasts, scored_by)


def seasonal(data: Data, scored_by: Scoring = MSE) -> Baseline | None:
    """Score the values of the season before, repeated; None where the data have no season."""
    tasks = _tasks(data)
    season = period(tasks[0].series.step_s)
    if season is None or season > min(task.series.train_end for task in tasks):
        return None
    forecasts = [_repeat_season(task, season) for task in tasks]
    detail = f"the values of {season} steps before, repeated"
    return _scored("seasonal naive", detail, tasks, forecasts, scored_by)


def ridge(data: Data, scored_by: Scoring = MSE) -> Baseline | None:
    """Score ridge regression on the flattened window of all columns, fitted on training rows.

    Length and penalty are those of the lowest validation MSE; None where no length fits.
    """
    tasks = _tasks(data)
    best: tuple[float, int, float, list[Forecast]] | None = None
    for length in LENGTHS:
        if not all(_fits(task, length) for task in tasks):
            continue
        fitted = [_ridges(task, length=length) for task in tasks]
        for penalty, *forecasts in zip(PENALTIES, *fitted, strict=True):
            mse = _mean([_mse(task, f) for task, f in _validated(tasks, forecasts)])
            if best is None or mse < best[0]:
                best = mse, length, penalty, forecasts
    if best is None:
        return None
    _, length, penalty, forecasts = best
    detail = f"window of {length}, lambda {penalty:g}"
    return _scored("ridge", detail, tasks, forecasts, scored_by)


def period(step_s: int) -> int | None:
    """Name the season: a day for steps within it, a week for daily steps, else none."""
    if 0 < step_s < DAY_S and DAY_S % step_s == 0:
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


def _tasks(data: Data) -> list[_Task]:
    """List the folds, then the division that is tested; of a plain split it is one and the same."""
    last = last_fold(data)
    return [_task(data, f) for f in ([None] if last is None else [*folds(data), last])]


def _task(data: Data, fold: Fold | None) -> _Task:
    series = load(data, fold=fold)
    # Validation and test windows are the same for every lookback, so the shortest will do.
    places = windows(series, replace(data, lookback=1))
    return _Task(series, outputs(series, horizon=data.horizon), places)


def _validated(
    tasks: Sequence[_Task], forecasts: Sequence[Forecast]
) -> list[tuple[_Task, Forecast]]:
    both = list(zip(tasks, forecasts, strict=True))
    return both[:-1] or both


def _repeat(task: _Task) -> Forecast:
    target: Array = task.series.values[:, : task.series.targets]

    def forecast(starts: Index) -> Array:
        return np.repeat(target[starts - 1][:, None], task.horizon, axis=1)

    return forecast


def _repeat_season(task: _Task, season: int) -> Forecast:
    target: Array = task.series.values[:, : task.series.targets]
    ahead = np.arange(task.horizon) % season

    def forecast(starts: Index) -> Array:
        before: Index = starts[:, None] - season + ahead
        return target[before]

    return forecast


def _fits(task: _Task, length: int) -> bool:
    enough = task.series.train_end - task.horizon + 1 > length
    return enough and length * len(task.series.columns) <= MOST_FEATURES


def _ridges(task: _Task, *, length: int) -> Iterator[Forecast]:
    """Fit each penalty from the same products of the windows; the intercept bears no penalty."""
    import torch  # for Cholesky's solution, which numpy lacks

    series, horizon = task.series, task.horizon
    count = series.train_end - length - horizon + 1
    window = inputs(series, lookback=length)
    features = window.shape[1] * window.shape[2]
    products, means = _products(series.values, length=length, ahead=horizon, count=count)
    upper = np.triu(products[:, :, :length].reshape(features, features))
    mean_x, mean_y = means[:length].ravel(), means[length:, : series.targets].ravel()
    gram = upper + np.triu(upper, 1).T - count * np.outer(mean_x, mean_x)
    cross = products[:, :, length:, : series.targets].reshape(features, -1)
    cross = cross - count * np.outer(mean_x, mean_y)
    for penalty in PENALTIES:
        penalised = torch.from_numpy(gram + penalty * np.eye(features))
        factor = torch.linalg.cholesky(penalised)
        slope = torch.cholesky_solve(torch.from_numpy(cross), factor).numpy()
        shift = mean_y - mean_x @ slope

        def forecast(starts: Index, slope: Array = slope, shift: Array = shift) -> Array:
            flat = window[starts - length].reshape(len(starts), features)
            return (flat @ slope + shift).reshape(len(starts), horizon, series.targets)

        yield forecast


def _products(values: Array, *, length: int, ahead: int, count: int) -> tuple[Array, Array]:
    """Multiply the first `count` windows of [N, C] by themselves and by the `ahead` steps behind.

    Windows lie one step apart. So the products of two time steps are those of the two before them,
    less the first row and with the row behind the last: one block row takes all the windows.
    Returns [T, C, T + F, C], of which the blocks below the diagonal are left 0, and the mean
    [T + F, C] of each time step.
    """
    columns, steps = values.shape[1], length + ahead
    blocks = np.zeros((length, columns, steps, columns))
    for step in range(steps):
        blocks[0, :, step] = values[:count].T @ values[step : step + count]
    for step in range(1, length):
        gone, come = step - 1, step - 1 + count
        rest = steps - step
        blocks[step, :, step:] = (
            blocks[step - 1, :, step - 1 : -1]
            - np.multiply.outer(values[gone], values[gone : gone + rest])
            + np.multiply.outer(values[come], values[come : come + rest])
        )
    before = np.concatenate([np.zeros((1, columns)), values[: count + steps - 1].cumsum(axis=0)])
    return blocks, (before[count:] - before[:-count]) / count


def _scored(
    name: str,
    detail: str,
    tasks: Sequence[_Task],
    forecasts: Sequence[Forecast],
    scored_by: Scoring,
) -> Baseline:
    scores: dict[str, float] = {}
    of_folds: dict[str, list[float]] = defaultdict(list)
    for task, forecast in _validated(tasks, forecasts):
        for metric, value in _metrics(task, forecast, task.places.val, scored_by).items():
            of_folds[metric].append(value)
    scores |= {f"val_{metric}": _mean(values) for metric, values in of_folds.items()}
    last, kept = tasks[-1], forecasts[-1]
    tested = _metrics(last, kept, last.places.test, scored_by)
    scores |= {f"test_{metric}": value for metric, value in tested.items()}

    def errors(part: Literal["val", "test"]) -> Array:
        starts = last.places.test if part == "test" else last.places.val
        found = [_each(last, kept, chunk, scored_by) for chunk in _chunks(starts)]
        return np.concatenate(found) if found else np.zeros(0)

    return Baseline(name, detail, scores, errors)


def _metrics(
    task: _Task, forecast: Forecast, starts: Index, scored_by: Scoring
) -> dict[str, float]:
    squared = absolute = pinball = 0.0
    for chunk in _chunks(starts):
        error = forecast(chunk) - task.truth[chunk]
        squared += float(np.square(error).sum())
        absolute += float(np.abs(error).sum())
        pinball += float(_pinball(error, scored_by).sum())
    count = len(starts) * task.truth[0].size
    found = {"mse": squared / count, "mae": absolute / count}
    return found | {"quantile": pinball / count} if scored_by.quantiles else found


def _each(task: _Task, forecast: Forecast, starts: Index, scored_by: Scoring) -> Array:
    error = forecast(starts) - task.truth[starts]
    if scored_by.quantiles:
        error = _pinball(error, scored_by)
    else:
        error = np.abs(error) if scored_by.kind == "mae" else np.square(error)
    found: Array = error.mean(axis=(1, 2))
    return found


def _pinball(error: Array, scored_by: Scoring) -> Array:
    """Score one forecast as every quantile: `error` is forecast minus truth."""
    found = np.zeros_like(error)
    for level in scored_by.quantiles:
        found += np.maximum(-level * error, (1 - level) * error) / len(scored_by.quantiles)
    return found


def _mse(task: _Task, forecast: Forecast) -> float:
    return _metrics(task, forecast, task.places.val, MSE)["mse"]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _chunks(starts: Index) -> Iterator[Index]:
    for first in range(0, len(starts), CHUNK):
        yield starts[first : first + CHUNK]
