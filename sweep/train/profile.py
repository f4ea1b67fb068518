"""Describe a data set before anything is filled or standardised, to be compared with the next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep import datasets
from sweep.plan.settings import Data
from sweep.train import labelled, table
from sweep.train.folds import last_fold


def profile(settings: Data) -> dict[str, Any]:
    """Count rows, and give range, mean, spread and missing share of every column.

    Rows that the time grid has and the file lacks count as missing. Of labelled examples their
    lengths stand in the place of columns. Raises BadInput for data that cannot be used.
    """
    if settings.kind != "series":
        lengths = labelled.load(settings, fold=last_fold(settings)).lengths
        return {"rows": len(lengths), "columns": {"length": _column(lengths.astype(np.float64))}}
    path = Path(settings.path) if settings.path else datasets.find(settings.name).path
    columns = (*settings.target, *settings.covariates)
    raw = table.read(path, time=settings.time, columns=columns, frequency=settings.frequency)
    pairs = zip(raw.columns, raw.values.T, strict=True)
    return {"rows": len(raw.values), "columns": {name: _column(values) for name, values in pairs}}


def _column(values: NDArray[np.float64]) -> dict[str, float]:
    known = values[~np.isnan(values)]
    return {
        "low": float(known.min()),
        "high": float(known.max()),
        "mean": float(known.mean()),
        "sd": float(known.std()),
        "missing": float(1 - len(known) / len(values)),
    }
