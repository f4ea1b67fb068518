"""Drop states by each lane's own seed, epoch and rate, as the lane would alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sweep.train import draws
from sweep.train.array import philox

# seeds, epochs, step, site, levels, count to what is kept [K, count]
Draw = Callable[[Tensor, Tensor, Tensor, int, Tensor, int], Tensor]


@dataclass(frozen=True, slots=True)
class Source:
    """What decides about one lane's masks."""

    seed: int
    epoch: int
    dropout: float  # between layers
    output_dropout: float  # before the head


class OnHost:
    """Draw masks by numpy, for the lanes that drop anything: fast where the array is on the CPU.

    `widths` [K] are the time steps of each lane's batch where they are not those of the states:
    masks are drawn for so many, as they would be for the lane alone.
    """

    def __init__(self, *, layers: int) -> None:
        self._layers = layers
        self._sources: Sequence[Source | None] = ()
        self.step = 0
        self.widths: Tensor | None = None

    def begin(self, sources: Sequence[Source | None]) -> None:
        """Take the lanes of an epoch; None stands for a lane at rest."""
        self._sources = sources
        self.step = 0

    def __call__(self, site: int, states: Tensor) -> Tensor:
        """Drop from [K, T, B, H]; other states are scaled so that the mean stays."""
        rates = [_rate(source, site, self._layers) for source in self._sources]
        if not any(rates):
            return states
        lanes, length, rows, hidden = states.shape
        inner = self.widths is not None and site < self._layers
        widths = self.widths.tolist() if inner and self.widths is not None else [length] * lanes
        factors = torch.ones_like(states)
        for lane, (source, rate) in enumerate(zip(self._sources, rates, strict=True)):
            if source is None or rate == 0:
                continue
            kept = draws.kept(
                source.seed,
                epoch=source.epoch,
                step=self.step,
                site=site,
                shape=(rows, widths[lane], hidden),
                rate=rate,
            )
            share = 1 - draws.dropped_levels(rate) / draws.LEVELS
            own = torch.from_numpy(kept).to(states.dtype).div_(share)
            factors[lane, : widths[lane]] = own.transpose(0, 1)
        return states * factors


class OnDevice:
    """Draw masks where the states are, from numbers that lie there: nothing waits for the host.

    `widths` [K] as of `OnHost`.
    """

    def __init__(self, *, layers: int, lanes: int, step: Tensor, draw: Draw | None = None) -> None:
        device = step.device
        self._layers = layers
        self._step = step
        self._draw = draw or _plainly
        self.widths: Tensor | None = None
        self._numbers = torch.zeros(2, lanes, dtype=torch.int64, device=device)
        self._levels = torch.zeros(2, lanes, dtype=torch.int32, device=device)

    def begin(self, sources: Sequence[Source | None]) -> None:
        """Take the lanes of an epoch; None stands for a lane at rest."""
        numbers = [(0, 0) if each is None else (each.seed, each.epoch) for each in sources]
        levels = [
            [draws.dropped_levels(_rate(each, site, self._layers)) for each in sources]
            for site in (0, self._layers)
        ]
        self._numbers.copy_(torch.from_numpy(np.array(numbers, dtype=np.int64).T.copy()))
        self._levels.copy_(torch.from_numpy(np.array(levels, dtype=np.int32)))

    def __call__(self, site: int, states: Tensor) -> Tensor:
        """Drop from [K, T, B, H]; other states are scaled so that the mean stays."""
        lanes, length, rows, hidden = states.shape
        levels = self._levels[int(site == self._layers)]
        seeds, epochs = self._numbers
        count = length * rows * hidden
        kept = self._draw(seeds, epochs, self._step, site, levels, count)
        if self.widths is not None and site < self._layers:
            kept = kept.gather(1, _places(self.widths, length, rows, hidden))
        share = 1 - levels.to(torch.float64) / draws.LEVELS
        factors = kept.view(lanes, rows, length, hidden).transpose(1, 2).to(states.dtype)
        return states * factors / share.to(states.dtype)[:, None, None, None]


def _plainly(
    seeds: Tensor, epochs: Tensor, step: Tensor, site: int, levels: Tensor, count: int
) -> Tensor:
    return philox.kept(seeds, epochs, step=step, site=site, levels=levels, count=count)


def _places(widths: Tensor, length: int, rows: int, hidden: int) -> Tensor:
    """Say which value of [rows, width, hidden] each element of [rows, length, hidden] has.

    What lies beyond a width has no effect, and takes any.
    """

    def along(count: int) -> Tensor:
        return torch.arange(count, device=widths.device)

    own = widths[:, None, None, None]
    step = torch.minimum(along(length)[:, None], own - 1)
    places = (along(rows)[:, None, None] * own + step) * hidden + along(hidden)
    return places.flatten(1)


def _rate(source: Source | None, site: int, layers: int) -> float:
    if source is None:
        return 0.0
    return source.output_dropout if site == layers else source.dropout
