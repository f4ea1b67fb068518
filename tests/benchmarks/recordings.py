"""Recordings as a test wants them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from replay.recording import Curve, Recording

from sweep.search.space import Choice, Point, Space, identity

OURS = Path(__file__).parents[2] / "benchmarks" / "replay" / "recorded" / "jfk.jsonl.gz"
EPOCHS = 9
SPACE = Space(
    {
        "optim.lr": Choice((0.0001, 0.001, 0.01)),
        "model.hidden_size": Choice((25, 50, 100)),
        "model.num_layers": Choice((1, 2)),
    }
)
POINTS = [SPACE.crossed(index) for index in range(SPACE.size or 0)]


def bowl(point: Point, seed: int) -> float:
    """Give a loss that is lowest in the middle of the space, and moves with the seed."""
    rate = abs(POINTS.index(dict(point)) - 7.3)
    return 0.1 + 0.01 * rate + 0.003 * ((POINTS.index(dict(point)) * 7 + seed * 5) % 11)


def make_recording(
    loss: Callable[[Point, int], float] = bowl, *, seeds: tuple[int, ...] = (0, 1, 2)
) -> Recording:
    """Record trainings that cost a second an epoch and fall to `loss` at the last."""

    def curve(point: Point, seed: int) -> Curve:
        val = [loss(point, seed) * (1 + 0.1 * (EPOCHS - 1 - epoch)) for epoch in range(EPOCHS)]
        return Curve(val=val, train=val, cpu_s=[1.0] * EPOCHS)

    return Recording(
        SPACE, {identity(point): {s: curve(point, s) for s in seeds} for point in POINTS}
    )
