"""Read from a trial's learning curves how its training went."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sweep.plan.trial import Record, State

RISE = 0.10  # validation loss at the end, above its lowest, as a share: less is a wobble
JUMP = 0.25  # training loss above its lowest so far, as a share: a step that undid many
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
    return rise(record) > RISE and train[-1] < train[_lowest(val)]


def rise(record: Record) -> float:
    """Say how far validation loss ended above its lowest, as a share of that."""
    val = _curve(record, "val_loss")
    if not val or not (lowest := abs(min(val))):
        return 0.0
    return (val[-1] - min(val)) / lowest


def unstable(record: Record) -> bool | None:
    """Tell whether training diverged, or its loss once stood more than `JUMP` above its lowest."""
    if record.state is State.INFEASIBLE:
        return True
    train = _curve(record, "train_loss")
    if len(train) < MIN_EPOCHS:
        return None
    return jump(record) > JUMP


def jump(record: Record) -> float:
    """Say how far training loss ever stood above its lowest until then, as a share of that."""
    train = _curve(record, "train_loss")
    lowest, most = math.inf, 0.0
    for loss in train:
        if 0 < lowest < math.inf:
            most = max(most, (loss - lowest) / lowest)
        lowest = min(lowest, loss)
    return most


def _curve(record: Record, name: str) -> list[float]:
    values = record.history.get(name, [])
    known = [value for value in values if value is not None and math.isfinite(value)]
    return known if len(known) == len(values) else []


def _lowest(curve: Sequence[float]) -> int:
    return min(range(len(curve)), key=curve.__getitem__)
