from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.train import draws

SEEDS = st.integers(0, 2**63 - 1)
M64 = 2**64 - 1


def philox(counter: tuple[int, ...], key: tuple[int, int]) -> list[int]:
    """Philox4x64-10 as the paper states it, in plain integers."""
    c, k = list(counter), list(key)
    for number in range(10):
        if number:
            k = [(k[0] + 0x9E3779B97F4A7C15) & M64, (k[1] + 0xBB67AE8584CAA73B) & M64]
        first, second = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
        c = [
            (second >> 64) ^ c[1] ^ k[0],
            second & M64,
            (first >> 64) ^ c[3] ^ k[1],
            first & M64,
        ]
    return c


def words(
    seed: int, purpose: int, *, count: int, step: int = 0, epoch: int = 0, site: int = 0
) -> list[int]:
    """The documented mapping, written a second time."""
    blocks = range(-(-count // 4))
    found = [w for b in blocks for w in philox((b + 1, step, epoch, site), (seed, purpose))]
    return found[:count]


def test_the_reference_of_these_tests_gives_the_published_vectors() -> None:
    # Random123's kat_vectors, philox4x64 10
    assert philox((0, 0, 0, 0), (0, 0)) == [
        0x16554D9ECA36314C,
        0xDB20FE9D672D0FDC,
        0xD7E772CEE186176B,
        0x7E68B68AEC7BA23B,
    ]
    assert philox((M64, M64, M64, M64), (M64, M64)) == [
        0x87B092C3013FE90B,
        0x438C3C67BE8D0224,
        0x9CC7D7C69CD777B6,
        0xA09CAEBF594F0BA0,
    ]


@given(seed=SEEDS, epoch=st.integers(0, 1000), count=st.integers(1, 40))
def test_the_batch_order_is_the_argsort_of_the_documented_words(
    seed: int, epoch: int, count: int
) -> None:
    keys = words(seed, 1, count=count, epoch=epoch)

    order = draws.permutation(seed, epoch=epoch, count=count)

    assert order.tolist() == sorted(range(count), key=lambda e: keys[e])


@given(
    seed=SEEDS,
    epoch=st.integers(0, 100),
    step=st.integers(0, 1000),
    site=st.integers(1, 4),
    size=st.integers(1, 30),
    rate=st.floats(0.0, 0.99),
)
def test_a_mask_is_the_documented_words_in_quarters(
    seed: int, epoch: int, step: int, site: int, size: int, rate: float
) -> None:
    stream = words(seed, 2, count=-(-size * 2 // 4), step=step, epoch=epoch, site=site)
    values = [w >> shift & 0xFFFF for w in stream for shift in (0, 16, 32, 48)][: size * 2]

    mask = draws.kept(seed, epoch=epoch, step=step, site=site, shape=(size, 2), rate=rate)

    assert mask.shape == (size, 2)
    assert mask.ravel().tolist() == [value >= round(rate * 65536) for value in values]


@given(seed=SEEDS, name=st.sampled_from(["head.weight", "layers.0.bias_hh_l0"]))
def test_initial_weights_are_the_documented_words_as_floats(seed: int, name: str) -> None:
    site = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    stream = words(seed, 3, count=6, site=site)

    drawn = draws.uniform(seed, name=name, shape=(2, 3), bound=0.5)

    assert drawn.ravel().tolist() == [(2 * ((w >> 11) / 2**53) - 1) * 0.5 for w in stream]


def test_streams_of_other_seeds_epochs_steps_sites_and_names_differ() -> None:
    place = {"epoch": 3, "step": 5, "site": 1, "shape": (64,), "rate": 0.5}
    moved = [place | {"epoch": 4}, place | {"step": 6}, place | {"site": 2}]

    masks = [draws.kept(0, **kwargs) for kwargs in [place, *moved]] + [draws.kept(1, **place)]
    weights = [draws.uniform(0, name=name, shape=(9,), bound=1.0) for name in ("a", "b")]

    assert len({mask.tobytes() for mask in masks}) == len(masks)
    assert not np.array_equal(*weights)


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5])
def test_dropout_keeps_the_share_that_it_says(rate: float) -> None:
    mask = draws.kept(0, epoch=0, step=0, site=1, shape=(400, 500), rate=rate)

    assert mask.mean() == pytest.approx(1 - rate, abs=4e-3)


def test_a_rate_next_to_one_still_keeps_a_value() -> None:
    assert draws.dropped_levels(0.9999999) == draws.LEVELS - 1
