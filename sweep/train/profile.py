"""Describe a series before anything is filled or standardised, to be compared with the next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sweep import datasets
from sweep.plan.settings import Data
from sweep.train import table


def profile(settings: Data) -> dict[str, Any]:
    """Count rows, and give range, mean, spread and missing share of every column.

    Rows that the time grid has and the file has not count as missing. Of sequences and sentences
    nothing is said.
    Raises BadInput for data that cannot be used.
    """
    if settings.kind != "series":
        return {}
    path = Path(settings.path) if settings.path else datasets.find(settings.name).path
    columns = (*settings.target, *settings.covariates)
    raw = table.read(path, time=settings.time, columns=columns, frequency=settings.frequency)
    found: dict[str, Any] = {}
    for name, values in zip(raw.columns, raw.values.T, strict=True):
        known = values[~np.isnan(values)]
        found[name] = {
            "low": float(known.min()),
            "high": float(known.max()),
            "mean": float(known.mean()),
            "sd": float(known.std()),
            "missing": float(1 - len(known) / len(values)),
        }
    return {"rows": len(raw.values), "columns": found}
