"""Name the shapes of networks that are measured, and count what a step of each takes."""

from __future__ import annotations

from dataclasses import dataclass

ROWS, VALIDATION, COLUMNS = 8640, 2880, 7  # as ETTh1 has them
GOAL = "L1 H100 T50 B32"


@dataclass(frozen=True)
class Shape:
    """Layers, units, time steps and windows a step."""

    layers: int
    hidden: int
    length: int
    batch: int

    @property
    def name(self) -> str:
        """Name it, as the JSON does."""
        return f"L{self.layers} H{self.hidden} T{self.length} B{self.batch}"

    @property
    def cells(self) -> float:
        """Count window, time step, unit and layer of one step."""
        return float(self.batch * self.length * self.hidden * self.layers)

    @property
    def flop(self) -> float:
        """Count the operations of one step, forward and backward."""
        inputs = [COLUMNS, *[self.hidden] * (self.layers - 1)]
        each = sum(8 * self.length * self.hidden * (size + self.hidden) for size in inputs)
        return 3.0 * self.batch * each

    @property
    def steps(self) -> int:
        """Count the steps of an epoch."""
        return -(-(ROWS - self.length) // self.batch)


NAMED = [
    Shape(1, 50, 10, 32), Shape(1, 50, 50, 32), Shape(1, 100, 50, 32), Shape(3, 50, 100, 64),
    Shape(2, 100, 100, 64), Shape(1, 200, 50, 32), Shape(1, 500, 10, 32), Shape(1, 500, 50, 64),
    Shape(2, 500, 50, 128), Shape(3, 500, 100, 64), Shape(1, 500, 200, 128), Shape(2, 500, 100, 32),
]  # fmt: skip
HELD_OUT = {"L1 H100 T50 B32", "L2 H500 T50 B128", "L3 H500 T100 B64"}  # of the extrapolation
SHARED = ("L1 H50 T50 B32", "L1 H100 T50 B32", "L1 H8 T4 B8")  # measured with several processes too
GRID = [
    Shape(layers, hidden, length, batch)
    for hidden in (50, 100, 200, 500)
    for layers in (1, 2, 3)
    for batch in (32, 64, 128)
    for length in (10, 50, 100, 200)
]
SMOKE = [Shape(1, 8, 4, 8), Shape(2, 8, 6, 8)]


def distinct(shape: Shape) -> int:
    """Count the trials of the guide's whole grid that have this shape and differ in effect."""
    return 108 if shape.layers == 1 else 432  # dropout, of four rates, acts between layers
