"""Choose what runs an array's time steps, masks and updates on a device.

Behind this one seam lies all that needs a GPU. No GPU has run it yet.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sweep.train.array.form import Form
from sweep.train.array.noise import Draw
from sweep.train.array.recurrence import Engine, Operations, States

log = logging.getLogger(__name__)

PERSISTENT_UP_TO = 0  # units, up to which the persistent kernel was measured to win: none yet
TOLERANCES = {"float32": 1e-4, "tf32": 1e-2, "bfloat16": 3e-2}  # relative, of a kernel's results

# A gradient [K, P], then weights, m and v, then what `Block` hands over by name.
Update = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Tools:
    """What a block does its work with; None: torch's own operations."""

    engine: Engine
    draw: Draw | None = None
    update: Update | None = None


PLAIN = Tools(Operations())


def choose(form: Form, *, device: torch.device) -> Tools:
    """Choose by device, precision and units alone, so that a trial meets the same everywhere.

    Kernels that cannot be built here, or give something else than torch, are left aside, with a
    warning.
    """
    if device.type != "cuda" or form.precision == "float64":
        return PLAIN
    try:
        from sweep.train.array import kernels
    except ImportError as error:
        log.warning("array: no Triton here (%s); torch's own operations go on", error)
        return PLAIN
    engine: Engine = kernels.Fused()
    if form.hidden <= PERSISTENT_UP_TO and kernels.fits(form.hidden, form.factors):
        engine = persistent(form.precision)
    try:
        error_found = difference(engine, form, device=device)
    except Exception as error:  # noqa: BLE001  whatever its compiler raises
        log.warning("array: a kernel cannot be built (%s); torch's own operations go on", error)
        return PLAIN
    if not error_found <= TOLERANCES[form.precision]:
        log.warning("array: a kernel is off by %.1e; torch's own operations go on", error_found)
        return PLAIN
    return Tools(engine, kernels.kept, kernels.update)


def persistent(precision: str) -> Engine:
    """Make the persistent kernel; TF32 is asked for by name."""
    from sweep.train.array import kernels

    return kernels.Persistent(product="tf32" if precision == "tf32" else "ieee")


def difference(engine: Engine, form: Form, *, device: torch.device, lanes: int = 2) -> float:
    """Measure how far an engine is from float64, relative, on random states of a form."""
    found = _both_ways(engine, _Problem(form, device, lanes), form.factors, form.dtype)
    exact = _both_ways(Operations(), _Problem(form, device, lanes), torch.float64, torch.float64)
    return max(
        float((ours.double() - theirs).norm() / theirs.norm())
        for ours, theirs in zip(found, exact, strict=True)
    )


def same_at_any_width(engine: Engine, form: Form, *, device: torch.device, lanes: int) -> bool:
    """Tell whether a lane's bits are the same among `lanes`, among half of them, and alone."""
    problem = _Problem(form, device, lanes)
    whole = _both_ways(engine, problem, form.factors, form.dtype)
    for fewer in {max(1, lanes // 2), 1}:
        part = _both_ways(engine, problem.first(fewer), form.factors, form.dtype)
        if any(not torch.equal(w[:fewer], p) for w, p in zip(whole, part, strict=True)):
            return False
    return True


class _Problem:
    """Random states and weights of a layer, the same each time."""

    LENGTH = 3

    def __init__(self, form: Form, device: torch.device, lanes: int) -> None:
        source = torch.Generator().manual_seed(1)  # of a check, not of a trial
        rows, hidden = form.rows(form.batch), form.hidden

        def draw(*shape: int, spread: float = 1.0) -> Tensor:
            values = torch.randn(*shape, generator=source, dtype=torch.float64)
            return (spread * values).to(device)

        self.projected = draw(lanes, self.LENGTH, rows, 4 * hidden)
        self.weight = draw(lanes, 4 * hidden, hidden, spread=hidden**-0.5)
        self.along = draw(lanes, self.LENGTH, rows, hidden)
        self.last = draw(lanes, rows, hidden)
        self.relu = (torch.arange(lanes) % 2 == 1).to(device)

    def first(self, lanes: int) -> _Problem:
        """Take the first lanes alone."""
        own = object.__new__(_Problem)
        for name in ("projected", "weight", "along", "last", "relu"):
            setattr(own, name, getattr(self, name)[:lanes].contiguous())
        return own


def _both_ways(
    engine: Engine, problem: _Problem, factors: torch.dtype, dtype: torch.dtype
) -> list[Tensor]:
    """Run forward and backward; of the backward pass only the engine's part."""
    rows, hidden = problem.last.shape[1:]
    nothing = torch.zeros(len(problem.relu), rows, hidden, dtype=dtype, device=problem.last.device)
    weight = problem.weight.to(factors)
    states: States = engine.forward(
        problem.projected.to(factors),
        weight,
        relu=problem.relu,
        begun=(nothing.to(factors), nothing),
    )
    d_gates = engine.backward(
        states,
        weight,
        relu=problem.relu,
        along=problem.along.to(factors),
        last=problem.last.to(factors),
    )
    return [states.gates, states.c, states.h, d_gates]
