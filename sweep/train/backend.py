"""Choose what trains: torch one trial at a time, or the array many at once."""

from __future__ import annotations

from sweep.errors import BadInput
from sweep.plan.application import CPU, GPU
from sweep.plan.settings import Settings


def fused_on(settings: Settings) -> frozenset[str]:
    """Say on which processors trials of this configuration are trained in an array.

    `auto` takes the array on a GPU alone, and torch where the array has no form for the network: on
    a CPU nn.LSTM in a process of its own is faster. Raises BadInput where the array is asked for
    and cannot have it.
    """
    backend, device = settings.train.backend, settings.train.device
    why_not = reason_against(settings)
    if backend == "array" and why_not is not None:
        raise BadInput(f"train.backend=array: {why_not}; say train.backend=torch")
    if backend == "torch" or why_not is not None:
        return frozenset()
    possible = {CPU, GPU} if backend == "array" else {GPU}
    return frozenset(possible if device == "auto" else possible & {device})


def reason_against(settings: Settings) -> str | None:
    """Say what the array lacks for a configuration; None where it lacks nothing."""
    data, model, train = settings.data, settings.model, settings.train
    lacking = {
        f"data.kind={data.kind}": data.kind != "series",
        f"model.head={model.head}": model.head != "linear",
        f"model.pooling={model.pooling}": model.pooling != "last",
        f"model.embedding={model.embedding}": model.embedding is not None,
        "model.bidirectional=true": model.bidirectional,
        f"train.loss={train.loss}": train.loss not in ("mse", "mae"),
    }
    found = next((name for name, lacks in lacking.items() if lacks), None)
    return None if found is None else f"the array has no form for {found}"
