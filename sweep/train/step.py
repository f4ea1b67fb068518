"""Take the steps of one epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sweep.plan.settings import Settings
from sweep.train import criterion, draws, model, optimizer
from sweep.train.criterion import Criterion
from sweep.train.feed import Examples, Feed
from sweep.train.model import Moment, Network
from sweep.train.optimizer import Optimizer
from sweep.train.schedule import Plateau, factor

EXPLODED = 1000.0  # times the loss of predicting the mean: beyond it a trial is infeasible


class Diverged(ArithmeticError):
    """Tell that a loss is no number any more, or has exploded."""


@dataclass(frozen=True, slots=True)
class Bench:
    """All that the steps of one trial need; the network and the optimiser change in place."""

    settings: Settings
    network: Network
    optimizer: Optimizer
    criterion: Criterion
    feed: Feed
    starts: NDArray[np.int64]  # of the training windows
    data: str  # hash of what is trained on
    limit: float  # a loss above it is divergence


@dataclass(frozen=True, slots=True)
class Part:
    """How far an epoch is."""

    steps: int = 0  # done
    total: float = 0.0  # sum of the losses of their windows


BEGINNING = Part()


def set_up(settings: Settings, *, examples: Examples) -> Bench:
    """Put a network with its initial weights and its optimiser beside the data."""
    feed, starts = examples.feed, examples.windows.train
    network = model.build(settings, device=feed.device, vectors=examples.vectors)
    return Bench(
        settings=settings,
        network=network,
        optimizer=optimizer.build(settings.optim, network=network),
        criterion=criterion.of(settings),
        feed=feed,
        starts=starts,
        data=examples.hash,
        limit=limit_of(settings, feed=feed, starts=starts),
    )


def one_epoch(
    bench: Bench,
    *,
    epoch: int,
    plateau: Plateau,
    begun: Part = BEGINNING,
    before_step: Callable[[Part], None] | None = None,
) -> tuple[float, float]:
    """Take one step per batch; return the mean loss and the last learning rate.

    A step: mean loss and L1, clipping by the norm, then the optimiser with its weight decay.
    `epoch` counts from 0; steps that `begun` names were taken before. Raises Diverged.
    """
    options, optim, network = bench.settings.train, bench.settings.optim, bench.network
    order = draws.permutation(options.seed, epoch=epoch, count=len(bench.starts))
    batches = _batches(bench.starts[order], size=options.batch_size)
    total, lr = begun.total, 0.0
    for step, starts in enumerate(batches[begun.steps :], start=begun.steps):
        if before_step is not None:
            before_step(Part(step, total))
        lr = optim.lr * factor(
            optim.schedule,
            epochs=options.epochs,
            epoch=epoch,
            progress=(step + 1) / len(batches),
            plateau=plateau,
        )
        bench.optimizer.rate = lr
        inputs, targets = bench.feed.batch(starts)
        output = network(inputs, moment=Moment(options.seed, epoch, step))
        loss = bench.criterion.loss(output, targets)
        value = loss.item()
        check(value, limit=bench.limit, where="training")
        bench.optimizer.zero_grad()
        torch.autograd.backward(_with_l1(loss, network, strength=optim.l1))
        if optim.clip_norm is not None:
            bench.optimizer.clip(optim.clip_norm)
        bench.optimizer.step()
        total += value * len(starts)
    return total / len(bench.starts), lr


def limit_of(settings: Settings, *, feed: Feed, starts: NDArray[np.int64]) -> float:
    """Say above which loss a trial counts as diverged."""
    # Constant targets have no loss: one unit then, the scale of any other column.
    naive = criterion.of(settings).of_a_constant(feed.all_targets(starts)) or 1.0
    return EXPLODED * naive


def check(loss: float, *, limit: float, where: str) -> None:
    """Raise Diverged where a loss is not finite or above its limit."""
    if not math.isfinite(loss):
        raise Diverged(f"the {where} loss is not finite")
    if loss > limit:
        raise Diverged(
            f"the {where} loss {loss:.3g} is more than {EXPLODED:,.0f} times that of "
            "predicting the mean"
        )


def _batches(starts: NDArray[np.int64], *, size: int) -> list[NDArray[np.int64]]:
    return [starts[first : first + size] for first in range(0, len(starts), size)]


def _with_l1(loss: Tensor, network: Network, *, strength: float) -> Tensor:
    if strength == 0:
        return loss
    norms = [parameter.abs().sum() for parameter in model.penalised(network)]
    return loss + strength * torch.stack(norms).sum()
