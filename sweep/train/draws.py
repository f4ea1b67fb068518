"""Draw every random number from a counter, so that no trial depends on what ran before it.

The generator is Philox4x64-10 (Salmon et al., SC'11), read as a raw stream through
`numpy.random.Philox.random_raw`, which numpy keeps stable; its Generator methods are not used.
Any other implementation reproduces the numbers bit for bit from this mapping:

key      (seed, purpose)                   two 64-bit words; purpose is a number of `Purpose`
counter  (block + 1, step, epoch, site)    four 64-bit words, the first the lowest; epochs and
                                           steps count from 0
word e   output e % 4 of block e // 4      of one such stream

site     0 for the batch order; the number of the layer under the mask for dropout; for initial
         weights the first 8 bytes, little-endian, of the SHA-256 of the parameter's name
floats   (word >> 11) * 2**-53, in [0, 1)
masks    each word holds four 16-bit values, the lowest bits first; element e of a mask, in C
         order of [B, T, H], is value e % 4 of word e // 4; 16 bits suffice, since a rate is then
         exact to 1/65536
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

LEVELS = 1 << 16  # of a 16-bit value


class Purpose(IntEnum):
    """What a stream is for; the number is part of its key and never changes."""

    BATCH_ORDER = 1
    DROPOUT = 2
    INITIAL_WEIGHTS = 3


def permutation(seed: int, *, epoch: int, count: int) -> NDArray[np.intp]:
    """Order `count` training windows for one epoch: the stable argsort of `count` words."""
    words = _words(seed, Purpose.BATCH_ORDER, count=count, epoch=epoch)
    return np.argsort(words, kind="stable")


def kept(
    seed: int, *, epoch: int, step: int, site: int, shape: Sequence[int], rate: float
) -> NDArray[np.bool_]:
    """Draw which elements dropout keeps: those whose value is at least `dropped_levels(rate)`."""
    count = math.prod(shape)
    words = _words(seed, Purpose.DROPOUT, count=-(-count // 4), step=step, epoch=epoch, site=site)
    values = words.astype("<u8", copy=False).view("<u2")[:count]
    return (values >= dropped_levels(rate)).reshape(shape)


def dropped_levels(rate: float) -> int:
    """Tell how many of the 65,536 values mean 'dropped'; at least one means 'kept'."""
    return min(round(rate * LEVELS), LEVELS - 1)


def uniform(seed: int, *, name: str, shape: Sequence[int], bound: float) -> NDArray[np.float64]:
    """Draw a parameter's initial values from [-bound, bound), by the parameter's name."""
    site = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    words = _words(seed, Purpose.INITIAL_WEIGHTS, count=math.prod(shape), site=site)
    unit = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return ((2.0 * unit - 1.0) * bound).reshape(shape)


def _words(
    seed: int, purpose: Purpose, *, count: int, step: int = 0, epoch: int = 0, site: int = 0
) -> NDArray[np.uint64]:
    key = np.array([seed, purpose], dtype=np.uint64)
    # numpy adds one to the counter before each block, so block 0 is drawn at counter 1.
    counter = np.array([0, step, epoch, site], dtype=np.uint64)
    words: NDArray[np.uint64] = np.random.Philox(key=key, counter=counter).random_raw(count)
    return words
