"""Compute in the precision that a configuration names, and in no other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from sweep.errors import BadInput
from sweep.plan.settings import Settings
from sweep.train import device

_one_thread = threading.RLock()


@contextmanager
def arithmetic(settings: Settings, *, mixed: bool = True) -> Iterator[None]:
    """Set matrix products to float32 or TF32, and autocast for bfloat16 where that is `mixed`.

    Raises BadInput for TF32 without a GPU, which alone has it.
    """
    name = settings.train.precision
    place = device.resolve(settings.train.device)
    if name == "tf32" and place.type != "cuda":
        raise BadInput(
            "train.precision=tf32 is of GPUs alone, and this trial runs on the CPU; say float32"
        )
    # Its cache would keep the first step's weights for as long as the context lasts.
    cast = torch.autocast(
        place.type,
        dtype=torch.bfloat16,
        enabled=mixed and name == "bfloat16",
        cache_enabled=False,
    )
    with products_in(tf32=name == "tf32") if place.type == "cuda" else nullcontext(), cast:
        yield


@contextmanager
def products_in(*, tf32: bool) -> Iterator[None]:
    """Set how a GPU multiplies matrices, for the whole process: so threads take turns."""
    products, kernels = torch.backends.cuda.matmul, torch.backends.cudnn
    with _one_thread:
        before = products.allow_tf32, kernels.allow_tf32
        products.allow_tf32 = kernels.allow_tf32 = tf32
        try:
            yield
        finally:
            products.allow_tf32, kernels.allow_tf32 = before
