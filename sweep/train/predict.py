"""Forecast from raw rows, or tell classes: all that was fitted, and the network, in one."""

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
from sweep.train import data, labelled, model, sentences
from sweep.train.criterion import chances
from sweep.train.data import Scaler
from sweep.train.folds import last_fold
from sweep.train.model import Padded, Weights
from sweep.train.sentences import TEXT

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

        Of quantiles each target has a column for every level, in turn: [horizon, targets * Q].
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
        sd, mean = self.scaler.sd[:targets], self.scaler.mean[:targets]
        if forecast.ndim > 2:  # [F, D, Q]
            sd, mean = sd[:, None], mean[:, None]
        result: NDArray[np.float64] = (forecast * sd + mean).reshape(len(forecast), -1)
        return result

    @property
    def columns(self) -> list[str]:
        """Name the columns that it reads: targets, then covariates."""
        return [*self.settings.data.target, *self.settings.data.covariates]

    @property
    def outputs(self) -> list[str]:
        """Name the columns of a forecast."""
        targets, train = self.settings.data.target, self.settings.train
        if train.loss != "quantile":
            return list(targets)
        return [f"{name}_q{level:g}" for name in targets for level in train.quantiles]

    def save(self, folder: Path) -> None:
        """Write it into a folder as JSON and npz; nothing is pickled."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _SETTINGS).write_text(json.dumps(dataclasses.asdict(self.settings), indent=2))
        np.savez(folder / _ARRAYS, **_scaler_arrays(self.scaler), **_weight_arrays(self.weights))


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """A trained network with all that it needs to tell classes; plain values, as a Forecaster's."""

    settings: Settings
    weights: Weights
    scaler: Scaler | None = None  # of sequences
    words: tuple[str, ...] = ()  # of sentences

    def predict(self, rows: Rows) -> NDArray[np.float64]:
        """Give the probability of each class, in the order of data.classes.

        Of sequences [1, K]: the rows are the steps of one. Of sentences [N, K]: a row of the
        column `text` is one. Raises BadInput for what is not a number, or no text, and
        UnknownName for a missing column.
        """
        inputs = self._sentences(rows) if self.settings.data.kind == "text" else self._steps(rows)
        network = model.build(self.settings, device=torch.device("cpu"), weights=self.weights)
        with torch.no_grad():
            found: NDArray[np.float64] = chances(network(inputs)).double().numpy()
        return found

    @property
    def outputs(self) -> list[str]:
        """Name the columns of what is told."""
        return list(self.settings.data.classes)

    def save(self, folder: Path) -> None:
        """Write it into a folder as JSON and npz; nothing is pickled."""
        folder.mkdir(parents=True, exist_ok=True)
        tree = dataclasses.asdict(self.settings) | {"words": list(self.words)}
        (folder / _SETTINGS).write_text(json.dumps(tree, indent=2))
        np.savez(folder / _ARRAYS, **_scaler_arrays(self.scaler), **_weight_arrays(self.weights))

    def _steps(self, rows: Rows) -> Padded:
        table = _table(rows, columns=list(self.settings.data.covariates))
        if not len(table) or not np.isfinite(table).all():
            raise BadInput("a step is missing or not a number; give every channel of each step")
        assert self.scaler is not None
        own = self.scaler.forward(table[-self.settings.data.lookback :])
        values = torch.tensor(own, dtype=model.dtype(self.settings)).unsqueeze(0)
        return Padded(values, torch.tensor([len(own)]))

    def _sentences(self, rows: Rows) -> Padded:
        if TEXT not in rows:
            raise UnknownName("column", TEXT, map(str, rows))
        known, steps = sentences.numbered(self.words), self.settings.data.lookback
        texts = list(rows[TEXT])
        if not texts or not all(isinstance(text, str) for text in texts):
            raise BadInput(f"column {TEXT} holds something that is no text; give a sentence a row")
        coded = [sentences.numbers(sentences.split(text), known)[-steps:] for text in texts]
        lengths = [len(item) for item in coded]
        values = torch.full((len(coded), max(lengths)), sentences.PADDING)
        for row, item in enumerate(coded):
            values[row, : len(item)] = torch.tensor(item)
        return Padded(values, torch.tensor(lengths))


Predictor = Forecaster | Classifier


def predictor(settings: Settings, *, weights: Weights) -> Predictor:
    """Join trained weights with what was fitted to their training part."""
    fold = last_fold(settings.data)
    if settings.data.kind == "series":
        return Forecaster(settings, data.load(settings.data, fold=fold).scaler, dict(weights))
    found = labelled.load(settings.data, fold=fold)
    return Classifier(settings, dict(weights), found.scaler, found.words)


def load(folder: Path) -> Predictor:
    """Read what `save` wrote.

    Raises BadInput where a file is missing or damaged.
    """
    try:
        tree = json.loads((folder / _SETTINGS).read_text())
        settings, words = _settings(tree), tuple(map(str, tree.get("words", ())))
        with np.load(folder / _ARRAYS, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        mean, sd = arrays.pop("mean", None), arrays.pop("sd", None)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{folder}: not a stored model ({error}); save it again") from None
    weights = {name.removeprefix("weights."): values for name, values in arrays.items()}
    scaler = None if mean is None or sd is None else Scaler(mean=mean, sd=sd)
    if settings.data.kind != "series":
        return Classifier(settings, weights, scaler, words)
    if scaler is None:
        raise BadInput(f"{folder}: not a stored model (no scaler); save it again")
    return Forecaster(settings, scaler, weights)


def _scaler_arrays(scaler: Scaler | None) -> dict[str, Any]:
    return {} if scaler is None else {"mean": scaler.mean, "sd": scaler.sd}


def _weight_arrays(weights: Weights) -> dict[str, Any]:
    return {f"weights.{name}": values for name, values in weights.items()}


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
