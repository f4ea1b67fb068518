"""Turn a lane's settings into the numbers that one formula for all optimisers takes.

    m <- keep_m m + add_m g        v <- keep_v v + add_v g^2
    w <- w (1 - decay) - size m / (scale sqrt(v) + epsilon)

is torch's Adam, AdamW, RMSprop and SGD with momentum, each by its own numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sweep.plan.settings import Optim, Settings
from sweep.train.schedule import Plateau, factor

# torch's defaults
BETA_1, BETA_2, ALPHA, EPSILON = 0.9, 0.999, 0.99, 1e-8

FIXED = ("keep_m", "add_m", "keep_v", "add_v", "epsilon", "l1", "weight_decay", "clip_norm")
MOVING = ("size", "scale", "decay", "live")

# torch's names of m and v, and whether it counts steps
STATES: Mapping[str, tuple[str | None, str | None, bool]] = {
    "adam": ("exp_avg", "exp_avg_sq", True),
    "adamw": ("exp_avg", "exp_avg_sq", True),
    "rmsprop": (None, "square_avg", True),
    "sgd": ("momentum_buffer", None, False),
}


def fixed(optim: Optim) -> list[float]:
    """Give the numbers of a lane that hold for the whole training, in the order of FIXED."""
    coupled = 0.0 if optim.name == "adamw" else optim.weight_decay
    clip = math.inf if optim.clip_norm is None else optim.clip_norm
    if optim.name in ("adam", "adamw"):
        own = [BETA_1, 1 - BETA_1, BETA_2, 1 - BETA_2, EPSILON]
    elif optim.name == "rmsprop":
        own = [0.0, 1.0, ALPHA, 1 - ALPHA, EPSILON]
    else:
        own = [optim.momentum, 1.0, 0.0, 0.0, 1.0]
    return [*own, optim.l1, coupled, clip]


def moving(
    settings: Settings, *, epoch: int, steps: int, begun: int, done: int, plateau: Plateau
) -> NDArray[np.float64]:
    """Give the numbers of a lane for each step of an epoch, [steps, MOVING].

    The first `begun` steps were taken before, and are not taken again; `done` counts all that the
    optimiser ever took.
    """
    rates = learning_rates(settings, epoch=epoch, steps=steps, plateau=plateau)
    name = settings.optim.name
    table = np.zeros((steps, len(MOVING)))
    table[:, 0] = rates
    table[:, 1] = 0.0 if name == "sgd" else 1.0
    if name in ("adam", "adamw"):
        count = done + 1 + np.arange(steps) - begun
        count = np.maximum(count, 1)  # of steps that are not taken
        table[:, 0] = rates / (1 - BETA_1**count)
        table[:, 1] = 1 / np.sqrt(1 - BETA_2**count)
    if name == "adamw":
        table[:, 2] = rates * settings.optim.weight_decay
    table[begun:, 3] = 1.0
    return table


def learning_rates(
    settings: Settings, *, epoch: int, steps: int, plateau: Plateau
) -> NDArray[np.float64]:
    """Give the learning rate of each step of an epoch."""
    optim = settings.optim

    def share(step: int) -> float:
        return factor(
            optim.schedule,
            epochs=settings.train.epochs,
            epoch=epoch,
            progress=(step + 1) / steps,
            plateau=plateau,
        )

    if epoch < optim.schedule.warmup_epochs:
        return np.array([optim.lr * share(step) for step in range(steps)])
    return np.full(steps, optim.lr * share(0))
