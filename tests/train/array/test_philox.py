"""The masks of the device are, bit for bit, those that numpy draws."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.plan.settings import Settings
from sweep.train import draws
from sweep.train.array import philox
from sweep.train.array.noise import OnDevice, OnHost, Source

Make = Callable[..., Settings]
SEEDS = st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=3)


@settings(max_examples=25)
@given(
    seeds=SEEDS,
    epoch=st.integers(0, 1000),
    step=st.integers(0, 10**6),
    site=st.integers(1, 16),
    rate=st.floats(0, 0.999),
    count=st.integers(1, 100),
)
def test_a_mask_is_the_one_that_numpy_draws(
    seeds: list[int], epoch: int, step: int, site: int, rate: float, count: int
) -> None:
    found = philox.kept(
        torch.tensor(seeds),
        torch.full((len(seeds),), epoch),
        step=torch.tensor([step]),
        site=site,
        levels=torch.full((len(seeds),), draws.dropped_levels(rate)),
        count=count,
    )

    for seed, lane in zip(seeds, found, strict=True):
        expected = draws.kept(seed, epoch=epoch, step=step, site=site, shape=[count], rate=rate)
        np.testing.assert_array_equal(lane.numpy(), expected)


def test_states_are_dropped_alike_on_host_and_device() -> None:
    sources = [Source(3, 2, 0.3, 0.0), None, Source(2**62, 0, 0.0, 0.5), Source(7, 9, 0.25, 0.5)]
    step = torch.tensor([5])
    host, device = OnHost(layers=2), OnDevice(layers=2, lanes=4, step=step)
    for each in (host, device):
        each.begin(sources)
    host.step = 5
    states = torch.rand(4, 6, 3, 5, dtype=torch.float64) + 1

    for site in (1, 2):
        torch.testing.assert_close(host(site, states), device(site, states), rtol=1e-15, atol=0)
    assert torch.equal(device(1, states)[2], states[2])  # a rate of 0 changes nothing


def test_a_mask_is_drawn_for_as_many_steps_as_the_lanes_own_batch_has() -> None:
    sources = [Source(3, 2, 0.3, 0.5), Source(7, 9, 0.25, 0.5)]
    step, widths = torch.tensor([5]), torch.tensor([4, 6])
    states = torch.rand(2, 6, 3, 5, dtype=torch.float64) + 1
    found = []
    for noise in (OnHost(layers=2), OnDevice(layers=2, lanes=2, step=step)):
        noise.begin(sources)
        noise.widths = widths
        if isinstance(noise, OnHost):
            noise.step = 5
        found.append((noise(1, states), noise(2, states[:, :1])))

    for inner, outer in found:
        for lane, (source, width) in enumerate(zip(sources, (4, 6), strict=True)):
            for site, rate, own in (
                (1, source.dropout, inner[lane, :width]),
                (2, source.output_dropout, outer[lane]),
            ):
                shape = (3, len(own), 5)
                mask = draws.kept(
                    source.seed, epoch=source.epoch, step=5, site=site, shape=shape, rate=rate
                )
                np.testing.assert_array_equal(own.transpose(0, 1).numpy() > 0, mask)
