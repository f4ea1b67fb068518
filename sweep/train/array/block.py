"""Hold a fixed number of lanes on the device and take their steps together.

Nothing here waits for the device within an epoch: what a step needs of the host lies in tables
that are written once an epoch, and what it tells is read once an epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sweep.plan.settings import Settings
from sweep.train.array import network, rates
from sweep.train.array.capture import Replay, apart, captured
from sweep.train.array.criteria import criterion_of
from sweep.train.array.engines import PLAIN, Tools
from sweep.train.array.form import Form
from sweep.train.array.noise import OnDevice, OnHost, Source
from sweep.train.feed import Feed
from sweep.train.score import BATCH

Rows = Mapping[str, NDArray[Any]]  # WEIGHTS, BEST, FIRST, SECOND to a lane's row [P]
WEIGHTS, BEST, FIRST, SECOND = "weights", "best", "first", "second"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What every lane of a block trains on."""

    form: Form
    feed: Feed
    train: NDArray[np.int64]  # numbers of the training examples
    val: NDArray[np.int64]

    @property
    def steps(self) -> int:
        """Count the steps of an epoch."""
        return -(-len(self.train) // self.form.batch)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Count the examples of each step: the last has what is left."""
        counts = np.full(self.steps, self.form.batch)
        counts[-1] = len(self.train) - self.form.batch * (self.steps - 1)
        return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One lane's part of an epoch."""

    settings: Settings
    epoch: int  # from 0
    order: NDArray[np.intp]  # of the training examples
    moving: NDArray[np.float64]  # rates.moving


@dataclass(frozen=True, slots=True)
class Told:
    """What an epoch came to, read from the device at its end."""

    losses: NDArray[np.floating]  # [S, K], of each step before it was taken
    means: Mapping[str, NDArray[np.float64]]  # metric to [K], over the validation examples


class Block:
    """Some lanes, a slot for each; a slot may be at rest."""

    def __init__(self, task: Task, *, lanes: int, tools: Tools = PLAIN) -> None:
        device = task.feed.device
        self.task = task
        self.lanes = lanes
        self._engine = tools.engine
        self._move = tools.update or update
        self._aside = apart(device)
        with self._aside():
            self._lay_out(task, lanes, tools)

    def _lay_out(self, task: Task, lanes: int, tools: Tools) -> None:
        form, device = task.form, task.feed.device
        self._rows = {
            name: torch.zeros(lanes, form.size, dtype=form.dtype, device=device)
            for name in (WEIGHTS, BEST, FIRST, SECOND)
        }
        self._leaves = {
            name: view.detach().requires_grad_()
            for name, view in form.views(self._rows[WEIGHTS]).items()
        }
        like = {"dtype": form.dtype, "device": device}
        self._penalised = torch.tensor(form.penalised(), **like)  # type: ignore[arg-type]
        self._fixed = torch.zeros(len(rates.FIXED), lanes, **like)  # type: ignore[call-overload]
        self._moving = torch.zeros(task.steps, len(rates.MOVING), lanes, **like)  # type: ignore[call-overload]
        self._relu = torch.zeros(lanes, dtype=torch.bool, device=device)
        self._criterion = criterion_of(form, lanes=lanes, device=device)
        self._orders = torch.full(
            (lanes, task.steps, form.batch), task.feed.first, dtype=torch.int64, device=device
        )
        self._counts = torch.tensor(task.counts, device=device)
        self._val = torch.tensor(task.val, device=device)
        self._losses = torch.zeros(task.steps, lanes, **like)  # type: ignore[call-overload]
        metrics = len(self._criterion.names)
        self._sums = torch.zeros(metrics, lanes, dtype=torch.float64, device=device)
        self._step = torch.zeros(1, dtype=torch.int64, device=device)
        on_host = device.type == "cpu" and tools.draw is None
        self._noise: OnHost | OnDevice = (
            OnHost(layers=form.layers)
            if on_host
            else OnDevice(layers=form.layers, lanes=lanes, step=self._step, draw=tools.draw)
        )
        self._noise.begin([None] * lanes)
        self._replay_step: Replay = captured(self._take_step, reset=self._begin, device=device)
        self._replay_validation: Replay = captured(self._validate, reset=self._begin, device=device)

    def load(self, slot: int, rows: Rows) -> None:
        """Put a lane's rows into a slot."""
        with self._aside():
            for name, values in rows.items():
                self._rows[name][slot].copy_(torch.from_numpy(values))

    def fetch(self, slot: int, *names: str) -> dict[str, NDArray[Any]]:
        """Copy rows of a slot out."""
        with self._aside():
            return {name: self._rows[name][slot].cpu().numpy().copy() for name in names}

    def begin(self, legs: Sequence[Leg | None], *, step: int = 0) -> None:
        """Write the tables of an epoch that begins at a step; None leaves a slot at rest."""
        task = self.task
        fixed = np.zeros((len(rates.FIXED), self.lanes))
        moving = np.zeros((task.steps, len(rates.MOVING), self.lanes))
        orders = np.full((self.lanes, task.steps * task.form.batch), task.feed.first)
        for slot, leg in enumerate(legs):
            if leg is None:
                continue
            fixed[:, slot] = rates.fixed(leg.settings.optim)
            moving[:, :, slot] = leg.moving
            orders[slot, : len(task.train)] = task.train[leg.order]
        with self._aside():
            self._fixed.copy_(torch.from_numpy(fixed))
            self._moving.copy_(torch.from_numpy(moving))
            self._orders.copy_(torch.from_numpy(orders).view(self._orders.shape))
            self._relu.copy_(_marks(legs, lambda own: own.model.activation == "relu"))
            self._criterion.begin([None if leg is None else leg.settings for leg in legs])
            self._noise.begin([_noise(leg) for leg in legs])
            self._step.fill_(step)

    def rewind(self) -> None:
        """Begin the epoch's tables again, for measurements."""
        with self._aside():
            self._begin()

    def step(self) -> None:
        """Take the next step of the epoch in all lanes."""
        with self._aside():
            self._replay_step()

    def validate(self) -> None:
        """Score all lanes on the validation examples."""
        with self._aside():
            self._replay_validation()

    def told(self) -> Told:
        """Read what the epoch came to; the one place that waits for the device."""
        with self._aside():
            losses, sums = self._losses.cpu().numpy(), self._sums.cpu().numpy()
        means = sums / max(1, len(self.task.val))
        return Told(losses, dict(zip(self._criterion.names, means, strict=True)))

    def keep_best(self, better: Sequence[bool]) -> None:
        """Note the weights of lanes that are better than ever."""
        with self._aside():
            marks = torch.tensor(better, device=self._relu.device)[:, None]
            best, weights = self._rows[BEST], self._rows[WEIGHTS]
            best.copy_(torch.where(marks, weights, best))

    def _begin(self) -> None:
        self._step.zero_()

    def _take_step(self) -> None:
        examples = self._orders.index_select(1, self._step)[:, 0]
        batch = self.task.feed.batches(examples)
        there = self._there()
        if batch.lengths is not None:
            self._noise.widths = torch.where(there, batch.lengths, 1).amax(1)
        if isinstance(self._noise, OnHost):
            self._noise.step = int(self._step)
        with torch.enable_grad():
            found = network.outputs(
                self.task.form,
                self._leaves,
                batch,
                relu=self._relu,
                drop=self._noise,
                engine=self._engine,
            )
            each = self._criterion.losses(found, batch.targets)  # [K, B]
            loss = torch.where(there, each, torch.zeros_like(each)).sum(1) / there.sum()
            gradients = torch.autograd.grad(loss.sum(), list(self._leaves.values()))
        with torch.no_grad():
            self._losses.index_copy_(0, self._step, loss.detach().unsqueeze(0))
            joined = torch.cat([each.reshape(self.lanes, -1) for each in gradients], dim=1)
            self._move(
                joined,
                (self._rows[WEIGHTS], self._rows[FIRST], self._rows[SECOND]),
                penalised=self._penalised,
                fixed=self._fixed,
                moving=self._moving.index_select(0, self._step)[0],
            )
            self._step.add_(1)

    def _there(self) -> Tensor:
        """Mark the places of the step's batch that hold an example, [B]."""
        count = self._counts.index_select(0, self._step)  # [1]
        return torch.arange(self.task.form.batch, device=count.device) < count

    @torch.no_grad()
    def _validate(self) -> None:
        parameters = {name: leaf.detach() for name, leaf in self._leaves.items()}
        self._sums.zero_()
        for first in range(0, len(self._val), BATCH):
            batch = self.task.feed.batches(self._val[None, first : first + BATCH])
            found = network.scored(
                self.task.form, parameters, batch, relu=self._relu, engine=self._engine
            )
            self._sums += self._criterion.sums(found, batch.targets)


def update(
    gradient: Tensor,
    rows: tuple[Tensor, Tensor, Tensor],
    *,
    penalised: Tensor,
    fixed: Tensor,
    moving: Tensor,
) -> None:
    """Move weights, m and v [K, P] along a gradient, each lane by its own optimiser.

    `penalised` [P] marks what L1 and L2 act on; `fixed` [FIXED, K] and `moving` [MOVING, K] are the
    numbers of `rates`.
    """
    keep_m, add_m, keep_v, add_v, epsilon, l1, weight_decay, clip = fixed.unsqueeze(-1)
    size, scale, decay, live = moving.unsqueeze(-1)
    weights, first, second = rows
    gradient = gradient + l1 * penalised * torch.sign(weights)
    norm = gradient.square().sum(1, keepdim=True).sqrt()
    share = torch.where(clip.isinf(), torch.ones_like(norm), clip / (norm + 1e-6))
    gradient = gradient * share.clamp(max=1.0) + weight_decay * penalised * weights
    m = keep_m * first + add_m * gradient
    v = keep_v * second + add_v * gradient.square()
    moved = weights * (1 - decay * penalised) - size * m / (scale * v.sqrt() + epsilon)
    on = live > 0
    weights.copy_(torch.where(on, moved, weights))
    first.copy_(torch.where(on, m, first))
    second.copy_(torch.where(on, v, second))


def _marks(legs: Sequence[Leg | None], holds: Any) -> Tensor:
    return torch.tensor([leg is not None and holds(leg.settings) for leg in legs])


def _noise(leg: Leg | None) -> Source | None:
    if leg is None:
        return None
    own = leg.settings
    return Source(own.train.seed, leg.epoch, own.model.dropout, own.model.output_dropout)
