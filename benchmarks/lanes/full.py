"""Fill the device with lanes, and see what it does at most."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch

from lanes.shapes import Shape
from lanes.timing import Bench, Contender, memory, watts
from lanes.work import block_of, repeat, settings_of, task_of
from sweep.plan.settings import Settings
from sweep.train.array.block import Block, Task
from sweep.train.array.engines import PLAIN, Tools, persistent
from sweep.train.array.form import Form
from sweep.train.array.memory import lane_bytes
from sweep.train.precision import arithmetic

MOST_LANES = 512
ELEMENTS = 40  # that a step reads and writes a cell, counted over the kernels of `fused`


def tools_for(form: Form, bench: Bench) -> dict[str, Tools]:
    """Offer torch's own operations, and the kernels where there is a GPU."""
    found: dict[str, Tools] = {}
    if bench.cuda:
        from sweep.train.array import kernels

        found["fused"] = Tools(kernels.Fused(), kernels.kept, kernels.update)
        if kernels.fits(form.hidden, form.factors):
            found["persistent"] = Tools(persistent(form.precision), kernels.kept, kernels.update)
    return found | {"ops": PLAIN}  # the most telling first, for time may be short


def full(shape: Shape, bench: Bench, *, precision: str) -> dict[str, Any]:
    """Fill the device with blocks and measure steps, validation and watts, by kind of kernel."""
    settings = settings_of(shape, precision=precision, device=str(bench.place.type))
    task = task_of(settings, rows=bench.rows, validation=bench.validation, place=bench.place)
    found: dict[str, Any] = {}
    for kind, tools in tools_for(task.form, bench).items():
        if found and time.monotonic() > bench.until:
            break
        with arithmetic(settings, mixed=False):
            found[kind] = _filled(shape, bench, settings, task, tools)
        bench.clear()
    return found


def _filled(
    shape: Shape, bench: Bench, settings: Settings, task: Task, tools: Tools
) -> dict[str, Any]:
    if bench.cuda:
        torch.cuda.reset_peak_memory_stats()
    own, took = _blocks(settings, task, tools, bench)
    steps = [repeat(block, task.steps) for block in own]
    lanes = sum(block.lanes for block in own)

    def together() -> None:
        for step in steps:
            step()

    def validate() -> None:
        for block in own:
            block.validate()

    with watts(bench) as drawn:
        times = bench.each({"full": Contender(lanes, together)})["full"]
    step = statistics.median(times)
    power = statistics.fmean(drawn) if drawn else None
    return {
        "lanes": lanes,
        "compile_s": max(0.0, took[0] - took[-1]),  # what the first block takes longer
        "capture_s": took[-1],  # of a block, with the upload of its weights and tables
        "trial_step_s": step,
        "spread": (max(times) - min(times)) / step,
        "trial_validation_s": bench.seconds(validate, 2) / 2 / lanes,
        "joules_per_trial_step": None if power is None else power * step,
        "flop_per_s": shape.flop / step,
        "bytes_per_s": ELEMENTS * task.form.factors.itemsize * shape.cells / step,
        "memory_bytes": torch.cuda.max_memory_allocated() if bench.cuda else None,
        "memory_bytes_by_the_model": lane_bytes(task) * lanes,
    }


def _blocks(
    settings: Settings, task: Task, tools: Tools, bench: Bench
) -> tuple[list[Block], list[float]]:
    """Make as many blocks as fit, by the model and then by trying; tell how long each took."""
    width, count = (2, 2) if bench.smoke else (64, MOST_LANES // 64)
    if bench.cuda:
        lanes = max(1, int(0.8 * memory() // lane_bytes(task)))
        width, count = min(width, lanes), max(1, min(count, lanes // width))
    while True:
        own: list[Block] = []
        took: list[float] = []
        try:
            for _ in range(count):
                begun = time.perf_counter()
                own.append(block_of(settings, task, lanes=width, tools=tools))
                bench.wait()
                took.append(time.perf_counter() - begun)
        except torch.OutOfMemoryError:
            if width == count == 1:
                raise
            width, count = (width, count // 2) if count > 1 else (width // 2, 1)
        else:
            return own, took
        own.clear()
        bench.clear()


def ceilings(bench: Bench) -> dict[str, float]:
    """Measure what the device does at most: products by precision, and a copy."""
    size, found = (64 if bench.smoke else 8192), {}
    for name, kind in (("bfloat16", torch.bfloat16), ("float32", torch.float32)):
        a, b = (torch.randn(size, size, dtype=kind, device=bench.place) for _ in range(2))
        a @ b
        found[f"{name}_flop_per_s"] = 2 * size**3 * 10 / bench.seconds(lambda a=a, b=b: a @ b, 10)
    if bench.cuda:
        before, torch.backends.cuda.matmul.allow_tf32 = torch.backends.cuda.matmul.allow_tf32, True
        found["tf32_flop_per_s"] = 2 * size**3 * 10 / bench.seconds(lambda a=a, b=b: a @ b, 10)
        torch.backends.cuda.matmul.allow_tf32 = before
    source = torch.randn((1 << 20) if bench.smoke else (1 << 29), device=bench.place)
    target = torch.empty_like(source)
    took = bench.seconds(lambda: target.copy_(source), 10)
    return found | {"copy_bytes_per_s": 2 * source.numel() * 4 * 10 / took}
