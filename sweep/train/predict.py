"""Forecast from raw rows: scaler, window and network in one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from sweep.errors import BadInput, UnknownName
from sweep.plan.settings import Data, Model, Optim, Schedule, Settings, Tracking, Train
from sweep.train import data, model
from sweep.train.data import Scaler
from sweep.train.model import Weights

_SETTINGS, _ARRAYS = "forecaster.json", "forecaster.npz"


class Rows(Protocol):
    """A table of raw rows by column name: a mapping of lists or arrays, or a pandas frame."""

    def __getitem__(self, column: str, /) -> Any:
        """Return one column, oldest row first."""
        ...

    def __contains__(self, column: object, /) -> bool:
        """Tell whether there is such a column."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """Run through the names of the columns."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Forecaster:
    """A trained network with all that it needs to forecast; plain values, so it can be pickled."""

    settings: Settings
    scaler: Scaler
    weights: Weights

    def predict(self, rows: Rows) -> NDArray[np.float64]:
        """Forecast the targets [horizon, targets], in raw units, from the newest `lookback` rows.

        Rows are one step of the frequency apart; older ones serve only to fill gaps.
        Raises BadInput for too few rows or a field that is not a number, and UnknownName for a
        missing column.
        """
        lookback, targets = self.settings.data.lookback, len(self.settings.data.target)
        raw = data.fill(_table(rows, columns=self.columns), leading=self.scaler.mean)
        if len(raw) < lookback:
            raise BadInput(
                f"{len(raw)} rows given; this model reads the last {lookback}, one per "
                f"{self.settings.data.frequency}: give at least as many"
            )
        window = torch.tensor(
            self.scaler.forward(raw[-lookback:]), dtype=model.dtype(self.settings)
        )
        network = model.build(self.settings, device=torch.device("cpu"), weights=self.weights)
        with torch.no_grad():
            forecast = network(window.unsqueeze(0))[0].double().numpy()
        result: NDArray[np.float64] = (
            forecast * self.scaler.sd[:targets] + self.scaler.mean[:targets]
        )
        return result

    @property
    def columns(self) -> list[str]:
        """Name the columns that it reads: targets, then covariates."""
        return [*self.settings.data.target, *self.settings.data.covariates]

    def save(self, folder: Path) -> None:
        """Write it into a folder as JSON and npz; nothing is pickled."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _SETTINGS).write_text(json.dumps(dataclasses.asdict(self.settings), indent=2))
        weights: dict[str, Any] = {
            f"weights.{name}": values for name, values in self.weights.items()
        }
        np.savez(folder / _ARRAYS, mean=self.scaler.mean, sd=self.scaler.sd, **weights)


def forecaster(settings: Settings, *, weights: Weights) -> Forecaster:
    """Join trained weights with the scaler of their training rows."""
    return Forecaster(settings, data.load(settings.data).scaler, dict(weights))


def load(folder: Path) -> Forecaster:
    """Read what `Forecaster.save` wrote.

    Raises BadInput where a file is missing or damaged.
    """
    try:
        settings = _settings(json.loads((folder / _SETTINGS).read_text()))
        with np.load(folder / _ARRAYS, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        scaler = Scaler(mean=arrays.pop("mean"), sd=arrays.pop("sd"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{folder}: not a stored forecaster ({error}); save it again") from None
    weights = {name.removeprefix("weights."): values for name, values in arrays.items()}
    return Forecaster(settings, scaler, weights)


def _table(rows: Rows, *, columns: list[str]) -> NDArray[np.float64]:
    for name in columns:
        if name not in rows:
            raise UnknownName("column", name, map(str, rows))
    found = [_numbers(rows[name], column=name) for name in columns]
    if len({len(values) for values in found}) > 1:
        raise BadInput(f"columns {', '.join(columns)} differ in length; give each every row")
    return np.stack(found, axis=1)


def _numbers(values: ArrayLike, *, column: str) -> NDArray[np.float64]:
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise BadInput(f"column {column} holds something that is not a number") from None
    if numbers.ndim != 1:
        raise BadInput(f"column {column} is not a list of numbers; give one value per row")
    return numbers


def _settings(tree: dict[str, Any]) -> Settings:
    optim = {**tree["optim"], "schedule": Schedule(**tree["optim"]["schedule"])}
    return Settings(
        data=Data(**tree["data"]),
        model=Model(**tree["model"]),
        optim=Optim(**optim),
        train=Train(**tree["train"]),
        tracking=Tracking(**tree["tracking"]),
    )
