"""Divide what is not the test part for cross-validation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweep.plan.settings import Data

Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fold:
    """One division of training and validation part; the one after the last holds nothing out."""

    number: int  # from 0
    of: int

    @property
    def whole(self) -> bool:
        """Tell whether all is trained on, as the model that is kept is."""
        return self.number == self.of


def folds(data: Data) -> list[Fold]:
    """List the folds of a configuration; one that holds nothing out is not among them."""
    return [Fold(number, data.folds) for number in range(data.folds)]


def last_fold(data: Data) -> Fold | None:
    """Give the division that the kept model is trained on; None: the plain split."""
    return Fold(data.folds, data.folds) if data.folds > 1 else None


def forward_chaining(fold: Fold, *, rows: int) -> tuple[int, int]:
    """Tell where training and validation rows of a series end.

    The rows are cut into one block more than there are folds; each fold validates on the block
    after those that it trains on, so nothing looks ahead.
    """
    ends = [rows * block // (fold.of + 1) for block in range(fold.of + 2)]
    return ends[fold.number + 1], ends[min(fold.number + 2, fold.of + 1)]


def stratified(labels: Index, *, count: int) -> Index:
    """Deal the examples of each class to folds in turn, in their order."""
    found = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        found[places] = np.arange(len(places)) % count
    return found


def by_group(groups: Sequence[str], *, count: int) -> Index:
    """Give each whole group to the fold that has the fewest examples, the largest groups first."""
    members: dict[str, list[int]] = defaultdict(list)
    for place, group in enumerate(groups):
        members[group].append(place)
    found, sizes = np.empty(len(groups), dtype=np.int64), [0] * count
    for group in sorted(members, key=lambda name: (-len(members[name]), name)):
        smallest = sizes.index(min(sizes))
        found[members[group]] = smallest
        sizes[smallest] += len(members[group])
    return found
