"""Read from a trial's learning curves whether it ended too soon or went on too long."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sweep.plan.trial import Record

RISE = 0.10  # validation loss at the end, above its lowest, as a share: less is a wobble
MIN_EPOCHS = 3  # a shorter curve has no shape


def still_improving(record: Record) -> bool | None:
    """Tell whether the best epoch is the last that was allowed; None where nothing tells.

    A trial that early stopping ended has its best epoch before its last. Epochs count from 1.
    """
    best, epochs = record.metrics.get("best_epoch"), record.metrics.get("epochs")
    if best is not None and epochs is not None:
        return best >= epochs
    curve = _curve(record, "val_loss")
    return None if not curve else _lowest(curve) == len(curve) - 1


def overfit(record: Record) -> bool | None:
    """Tell whether validation loss rose by more than `RISE` while training loss kept falling."""
    train, val = _curve(record, "train_loss"), _curve(record, "val_loss")
    if len(val) < MIN_EPOCHS or len(train) != len(val):
        return None
    lowest = _lowest(val)
    return val[-1] - val[lowest] > RISE * abs(val[lowest]) and train[-1] < train[lowest]


def _curve(record: Record, name: str) -> list[float]:
    values = record.history.get(name, [])
    known = [value for value in values if value is not None and math.isfinite(value)]
    return known if len(known) == len(values) else []


def _lowest(curve: Sequence[float]) -> int:
    return min(range(len(curve)), key=curve.__getitem__)
