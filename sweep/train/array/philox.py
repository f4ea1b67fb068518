"""Draw Philox4x64-10 words on any device in torch's integers, the bits of `sweep.train.draws`."""

from __future__ import annotations

import torch
from torch import Tensor

from sweep.train.draws import LEVELS, Purpose

ROUNDS = 10
MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
LOW = 0xFFFFFFFF
VALUES = 16  # 16-bit values of one block: four words of four


def kept(
    seeds: Tensor, epochs: Tensor, *, step: Tensor, site: int, levels: Tensor, count: int
) -> Tensor:
    """Tell which of `count` elements each lane keeps, [K, count], as `draws.kept` does.

    `seeds`, `epochs` and `levels` (how many of the 65,536 values mean 'dropped') are [K], `step`
    is one whole number.
    """
    blocks = -(-count // VALUES)
    drawn = words(seeds, epochs, purpose=Purpose.DROPOUT, step=step, site=site, blocks=blocks)
    parts = torch.stack([(drawn >> shift) & (LEVELS - 1) for shift in (0, 16, 32, 48)], dim=-1)
    return parts.view(len(seeds), -1)[:, :count] >= levels[:, None]


def words(
    seeds: Tensor, epochs: Tensor, *, purpose: Purpose, step: Tensor, site: int, blocks: int
) -> Tensor:
    """Draw the first words of each lane's stream, [K, blocks, 4], as signed 64-bit numbers."""
    shape = (len(seeds), blocks)
    first = torch.arange(1, blocks + 1, device=seeds.device).expand(shape)
    counter = [
        first,
        step.to(torch.int64).expand(shape),
        epochs[:, None].expand(shape),
        torch.full_like(first, _signed(site)),
    ]
    key = [seeds[:, None].expand(shape), torch.full_like(first, int(purpose))]
    for number in range(ROUNDS):
        if number:
            key = [word + _signed(add) for word, add in zip(key, WEYL, strict=True)]
        high_0, low_0 = _multiply(MULTIPLIERS[0], counter[0])
        high_1, low_1 = _multiply(MULTIPLIERS[1], counter[2])
        counter = [high_1 ^ counter[1] ^ key[0], low_1, high_0 ^ counter[3] ^ key[1], low_0]
    return torch.stack(counter, dim=-1)


def _multiply(constant: int, word: Tensor) -> tuple[Tensor, Tensor]:
    """Multiply to 128 bits, in halves of 32; signed sums wrap as unsigned ones do."""
    a_1, a_0 = constant >> 32, constant & LOW
    b_1, b_0 = _shifted(word, 32), word & LOW
    low, cross, other = b_0 * a_0, b_1 * a_0, b_0 * a_1
    middle = _shifted(low, 32) + (cross & LOW) + (other & LOW)
    high = b_1 * a_1 + _shifted(cross, 32) + _shifted(other, 32) + _shifted(middle, 32)
    return high, word * _signed(constant)


def _shifted(word: Tensor, by: int) -> Tensor:
    return (word >> by) & ((1 << (64 - by)) - 1)  # torch's own shift repeats the sign


def _signed(word: int) -> int:
    return word - (1 << 64) if word >= 1 << 63 else word
