from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from sweep.plan.settings import Schedule
from sweep.train.schedule import Plateau, Progress, factor

EPOCHS = 12


def factors(schedule: Schedule, *, epochs: int = EPOCHS) -> list[float]:
    return [
        factor(schedule, epochs=epochs, epoch=epoch, plateau=Plateau()) for epoch in range(epochs)
    ]


def library(make: Any, *, losses: Sequence[float] | None = None) -> list[float]:
    """The rates that a scheduler of the library sets from epoch to epoch, from a rate of 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, rates = make(optimizer), []
    for epoch in range(EPOCHS if losses is None else len(losses)):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step() if losses is None else scheduler.step(losses[epoch])
    return rates


@pytest.mark.parametrize(
    ("schedule", "make"),
    [
        (Schedule(name="constant"), lambda o: lr_scheduler.ConstantLR(o, factor=1.0)),
        (
            Schedule(name="step", step_epochs=5, gamma=0.3),
            lambda o: lr_scheduler.StepLR(o, step_size=5, gamma=0.3),
        ),
        (Schedule(name="step"), lambda o: lr_scheduler.StepLR(o, step_size=4, gamma=0.5)),
        (Schedule(name="exponential"), lambda o: lr_scheduler.ExponentialLR(o, gamma=0.95)),
        (
            Schedule(name="exponential", gamma=0.8),
            lambda o: lr_scheduler.ExponentialLR(o, gamma=0.8),
        ),
        (Schedule(name="cosine"), lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=EPOCHS)),
        (
            Schedule(name="cosine", min_factor=0.1),
            lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=EPOCHS, eta_min=0.1),
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Schedule) else "",
)
def test_a_schedule_has_the_librarys_values(schedule: Schedule, make: Any) -> None:
    assert factors(schedule) == pytest.approx(library(make))


@given(
    losses=st.lists(st.integers(0, 6).map(lambda n: n / 4), min_size=1, max_size=40),
    patience=st.integers(1, 5),
    min_delta=st.sampled_from([0.0, 0.25]),
)
def test_a_plateau_reduces_as_the_library_does(
    losses: list[float], patience: int, min_delta: float
) -> None:
    # The library reduces after more than its patience of bad epochs, we at ours.
    expected = library(
        lambda o: lr_scheduler.ReduceLROnPlateau(
            o, factor=0.5, patience=patience - 1, threshold=min_delta, threshold_mode="abs", eps=0
        ),
        losses=losses,
    )
    schedule = Schedule(name="plateau")
    progress, plateau, rates = Progress(), Plateau(), []

    for epoch, loss in enumerate(losses):
        rates.append(factor(schedule, epochs=len(losses), epoch=epoch, plateau=plateau))
        progress = progress.after(loss, epoch=epoch + 1, min_delta=min_delta)
        plateau = plateau.after(progress, patience=patience)

    assert rates == pytest.approx(expected)


@given(
    losses=st.lists(st.floats(0, 10), min_size=1, max_size=30),
    min_delta=st.sampled_from([0.0, 0.5]),
)
def test_progress_keeps_the_last_epoch_that_improved(losses: list[float], min_delta: float) -> None:
    progress, best, best_epoch = Progress(), math.inf, 0

    for epoch, loss in enumerate(losses, start=1):
        progress = progress.after(loss, epoch=epoch, min_delta=min_delta)
        if loss < best - min_delta:
            best, best_epoch = loss, epoch

    assert progress == Progress(best, best_epoch, len(losses) - best_epoch)


def test_warm_up_rises_with_every_step_to_the_full_rate() -> None:
    schedule = Schedule(warmup_epochs=2)

    rates = [
        factor(schedule, epochs=5, epoch=epoch, progress=progress, plateau=Plateau())
        for epoch in range(3)
        for progress in (0.25, 0.5, 1.0)
    ]

    assert rates == pytest.approx([0.125, 0.25, 0.5, 0.625, 0.75, 1, 1, 1, 1])


def test_after_the_warm_up_a_schedule_has_the_rest_as_its_horizon() -> None:
    warmed = factors(Schedule(name="cosine", warmup_epochs=4), epochs=12)

    assert warmed[4:] == pytest.approx(factors(Schedule(name="cosine"), epochs=8))
