"""Choose what trains: torch one trial at a time, or the array many at once."""

from __future__ import annotations

from sweep.plan.application import CPU, GPU


def fused_on(*, backend: str, device: str) -> frozenset[str]:
    """Say on which processors trials are trained in an array.

    The array has a form for every network. `auto` takes it on a GPU alone: on a CPU nn.LSTM in a
    process of its own is faster.
    """
    if backend == "torch":
        return frozenset()
    possible = {CPU, GPU} if backend == "array" else {GPU}
    return frozenset(possible if device == "auto" else possible & {device})
