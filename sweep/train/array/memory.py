"""Say how many lanes a device holds."""

from __future__ import annotations

import math

from sweep.train.array.block import Task
from sweep.train.array.network import BLOCK
from sweep.train.array.probe import Memory
from sweep.train.score import BATCH

WIDTH = 64  # lanes of a block on a GPU: always as many, so that a lane's sums never depend on it
ON_CPU = 16
SHARE = 0.85  # of a GPU's memory that is planned for; the rest is for what a model leaves out
GRAPH_BYTES = 1 << 30  # context, workspaces and compiled kernels


def lane_bytes(task: Task) -> int:
    """Estimate what one lane takes: weights and optimiser, and what a step holds at its fullest."""
    form, steps = task.form, task.feed.length
    length = steps // form.segment
    wide, narrow = form.dtype.itemsize, form.factors.itemsize
    rows, most = form.rows(form.batch), form.rows(BATCH)
    ways = 2 if form.bidirectional else 1
    cell = 4 * narrow + wide + narrow  # gates, c, h
    kept = length * rows * form.hidden * form.layers * cell * ways
    dropped = length * rows * form.state * max(0, form.layers - 1) * 3 * narrow
    backward = length * rows * form.hidden * 10 * narrow * ways  # of one layer's gates
    pooled = length * rows * form.state * 3 * narrow if _whole(task) else 0
    held = length if form.bidirectional else BLOCK  # time steps, where nothing is trained
    # Each recorded graph keeps its own memory: that of a step, and that of the validation.
    scored = most * form.hidden * (held * 10 * narrow * ways + 4 * form.layers * wide)
    shared = most // WIDTH if not form.embedded else most  # inputs that all lanes are scored on
    vectors = 4 if form.embedded else 1  # and sums of them
    inputs = steps * max(rows * vectors, shared) * form.columns * 3 * wide
    tables = task.steps * form.batch * 8
    weights = form.size * wide * 12  # four rows kept, the rest while they are moved
    return kept + dropped + backward + pooled + scored + inputs + tables + weights


def _whole(task: Task) -> bool:
    """Tell whether a pool looks at all time steps of the last layer."""
    form = task.form
    return form.bidirectional or form.pooling != "last" or form.classifies


def width_for(each: float, *, memory: Memory | None, most: int) -> int:
    """Choose the lanes of a block, where a trial takes `each` bytes; `most` is how many there are.

    On a GPU the choice does not depend on how many trials there are or what memory is free, so
    that a trial meets the same kernels everywhere.
    """
    if memory is None:
        return max(1, min(ON_CPU, most))
    fitting = max(1.0, (SHARE * memory.total - GRAPH_BYTES) / each)
    return min(WIDTH, 1 << math.floor(math.log2(fitting)))


def spare(each: float, *, memory: Memory | None) -> int:
    """Count the trials that the memory holds that is free now; a CPU has one block alone."""
    return 0 if memory is None else int((SHARE * memory.free() - GRAPH_BYTES) // each)
