"""Choose the processor that a trial runs on."""

from __future__ import annotations

import torch

from sweep.errors import BadInput


def resolve(name: str) -> torch.device:
    """Turn train.device into a processor; `auto` is the GPU where there is one.

    Raises BadInput for a GPU that is not there.
    """
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise BadInput("train.device=cuda: torch sees no GPU here; say auto or cpu")
    return torch.device("cuda" if there and name != "cpu" else "cpu")


def model_name(device: torch.device) -> str:
    """Name the processor for a record: `cpu`, or the model of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
