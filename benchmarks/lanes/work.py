"""Lay out what a shape trains: a configuration, its data, and lanes in the middle of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from lanes.shapes import COLUMNS, Shape
from sweep.plan.settings import Data, Model, Optim, Settings, Train
from sweep.train import model as models
from sweep.train.array.block import WEIGHTS, Block, Leg, Task
from sweep.train.array.engines import Tools
from sweep.train.array.form import form_of
from sweep.train.array.rates import moving
from sweep.train.feed import SeriesFeed
from sweep.train.schedule import Plateau


def settings_of(shape: Shape, *, precision: str, device: str) -> Settings:
    """Make a configuration of a shape: Adam, dropout between layers, clipping."""
    return Settings(
        data=Data(
            target=["c0"],
            covariates=[f"c{n}" for n in range(1, COLUMNS)],
            lookback=shape.length,
            horizon=1,
        ),
        model=Model(hidden_size=shape.hidden, num_layers=shape.layers, dropout=0.2),
        optim=Optim(name="adam", lr=1e-3, clip_norm=1.0),
        train=Train(batch_size=shape.batch, precision=precision, device=device),  # type: ignore[arg-type]
    )


def task_of(settings: Settings, *, rows: int, validation: int, place: torch.device) -> Task:
    """Lay a random series of the real one's size on the device."""
    noise = np.random.default_rng(0).normal(size=(rows + validation, COLUMNS))
    values = torch.tensor(np.cumsum(noise, axis=0) / 30, dtype=models.dtype(settings)).to(place)
    length = settings.data.lookback
    return Task(
        form=form_of(settings),
        feed=SeriesFeed(values, targets=1, lookback=length, horizon=1),
        train=np.arange(length, rows),
        val=np.arange(rows, rows + validation),
    )


def block_of(settings: Settings, task: Task, *, lanes: int, tools: Tools) -> Block:
    """Fill a block with trials that differ in seed and learning rate, at an epoch's beginning."""
    block = Block(task, lanes=lanes, tools=tools)
    row = task.form.join(models.arrays(models.build(settings, device=torch.device("cpu"))))
    legs: list[Leg | None] = []
    for lane in range(lanes):
        own = replace(settings, train=replace(settings.train, seed=lane % 4))
        block.load(lane, {WEIGHTS: row})
        order = np.random.default_rng(lane % 4).permutation(len(task.train))
        table = moving(own, epoch=0, steps=task.steps, begun=0, done=0, plateau=Plateau())
        legs.append(Leg(settings=own, epoch=0, order=order, moving=table))
    block.begin(legs)
    return block


def repeat(block: Block, steps: int) -> Callable[[], None]:
    """Step on and on: the tables of an epoch are begun again where they end."""
    taken = 0

    def step() -> None:
        nonlocal taken
        if taken and taken % steps == 0:
            block.rewind()
        taken += 1
        block.step()

    return step
