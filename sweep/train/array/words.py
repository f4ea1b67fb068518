"""Look words up in each lane's own table, with a gradient that is the same every time.

Adding gradients into the rows of a table in whatever order a device comes to them gives other last
digits each time. Here they are sorted by word first, and added up along the order.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Lookup(torch.autograd.Function):
    """Tables [K, V, E] and numbers of words [K, T, B] to vectors [K, T, B, E]."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, words: Tensor) -> Tensor:
        """Pick the rows."""
        lanes, rows, size = table.shape
        ctx.rows = rows
        ctx.save_for_backward(words)
        first = rows * torch.arange(lanes, device=table.device)
        flat = (words + first[:, None, None]).flatten()
        found = table.reshape(lanes * rows, size).index_select(0, flat)
        return found.view(lanes, *words.shape[1:], size)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Add the gradients of each word up."""
        (words,) = ctx.saved_tensors
        lanes = len(gradient)
        flat = words.expand(lanes, -1, -1).flatten(1)
        return added_up(gradient.flatten(1, 2), flat, rows=ctx.rows), None


def added_up(values: Tensor, words: Tensor, *, rows: int) -> Tensor:
    """Add up values [K, N, E] by words [K, N] to [K, rows, E], in an order that words alone decide.

    Sorted, the values of a word lie side by side; they are added in pairs, pairs of pairs and so on
    (Hillis & Steele 1986), until the last one of each word holds their sum.
    """
    lanes, count, size = values.shape
    words, order = torch.sort(words, dim=1, stable=True)
    sums = values.gather(1, order[..., None].expand_as(values))
    reach = 1
    while reach < count:
        same = (words[:, reach:] == words[:, :-reach])[..., None]
        before = torch.where(same, sums[:, :-reach], torch.zeros_like(sums[:, :-reach]))
        sums = torch.cat([sums[:, :reach], sums[:, reach:] + before], dim=1)
        reach *= 2
    ends = torch.ones_like(words, dtype=torch.bool)
    ends[:, :-1] = words[:, 1:] != words[:, :-1]
    place = torch.where(ends, words, rows)  # what is no sum yet goes to a row that is left off
    found = values.new_zeros(lanes, rows + 1, size)
    found.scatter_(1, place[..., None].expand_as(sums), sums)
    return found[:, :rows]
