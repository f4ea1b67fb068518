"""Hold what a rule without a network came to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Errors = Callable[[Literal["val", "test"]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Baseline:
    """One rule; forecasts' errors are on train-standardised targets."""

    name: str
    detail: str
    scores: Mapping[str, float]  # such as val_mse, test_mse: the names that trials have
    errors: Errors = field(compare=False, repr=False)  # of each window or example of a part
