"""Take one state of each sequence from the states of all its time steps, and turn it round.

Sequences are [K, T, B, H]; `lengths` [K, B] says where each ends, None that all have T steps. What
stands beyond a length has no effect. As `sweep.train.model`, with the lanes in front.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from sweep.train.array.form import Form


class Pool:
    """Takes time steps as they come, some at a time."""

    def __init__(self, form: Form, lengths: Tensor | None) -> None:
        self._how = form.pooling
        self._wide, self._narrow = form.dtype, form.factors
        self._lengths = lengths
        self._steps = 0
        self._found: Tensor | None = None

    def add(self, states: Tensor) -> None:
        """Take the next time steps of the last layer."""
        found = self._of(states)
        self._steps += states.shape[1]
        if self._found is None or (self._how == "last" and self._lengths is None):
            self._found = found
        elif self._how == "max":
            self._found = torch.maximum(self._found, found)
        else:
            self._found = self._found + found

    def state(self) -> Tensor:
        """Give the pooled state [K, B, H]."""
        assert self._found is not None
        if self._how != "mean":
            return self._found.to(self._narrow)
        count = self._steps if self._lengths is None else self._lengths[..., None].to(self._wide)
        return (self._found / count).to(self._narrow)

    def _of(self, states: Tensor) -> Tensor:
        if self._lengths is None:
            if self._how == "last":
                return states[:, -1]
            return states.amax(1) if self._how == "max" else states.sum(1, dtype=self._wide)
        places = torch.arange(self._steps, self._steps + states.shape[1], device=states.device)
        places, ends = places[:, None], self._lengths.unsqueeze(1)  # [T, 1], [K, 1, B]
        if self._how == "max":
            return states.masked_fill((places >= ends)[..., None], -math.inf).amax(1)
        counts = places == ends - 1 if self._how == "last" else places < ends
        nothing = torch.zeros((), dtype=states.dtype, device=states.device)
        return torch.where(counts[..., None], states, nothing).sum(1, dtype=self._wide)


def pooled(form: Form, states: Tensor, lengths: Tensor | None) -> Tensor:
    """Pool the states of all time steps; of two directions each gives the last that it came to."""
    pool = Pool(form, lengths)
    if form.bidirectional and form.pooling == "last":
        ahead, behind = states.chunk(2, dim=-1)
        pool.add(ahead)
        return torch.cat([pool.state(), behind[:, 0]], dim=-1)
    pool.add(states)
    return pool.state()


def turned(states: Tensor, lengths: Tensor | None) -> Tensor:
    """Turn each sequence round within its own length."""
    if lengths is None:
        return states.flip(1)
    place = torch.arange(states.shape[1], device=states.device)[:, None]  # [T, 1]
    ends = lengths.unsqueeze(1)  # [K, 1, B]
    mirrored = torch.where(place < ends, ends - 1 - place, place)
    turned: Tensor = _Turn.apply(states, mirrored[..., None])  # type: ignore[no-untyped-call]
    return turned


class _Turn(torch.autograd.Function):
    """Exchange time steps in pairs: its gradient is the same exchange, and adds nothing up."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        return states.gather(1, places.expand_as(states))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (places,) = ctx.saved_tensors
        return gradient.gather(1, places.expand_as(gradient)), None
