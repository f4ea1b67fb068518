"""Time one trial at a time and arrays of several widths against each other, in one shape."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

from lanes.alone import Alone
from lanes.full import full, tools_for
from lanes.shapes import Shape
from lanes.timing import Bench, Contender, left_out, memory
from lanes.work import block_of, repeat, settings_of, task_of
from sweep.plan.settings import Settings
from sweep.train.array.engines import difference, same_at_any_width
from sweep.train.array.memory import lane_bytes
from sweep.train.precision import arithmetic


def measure(
    shape: Shape, bench: Bench, *, precisions: Sequence[str], arrays: Sequence[str]
) -> dict[str, Any]:
    """Measure one shape: one trial at a time in all precisions, and arrays in some of them."""
    result: dict[str, Any] = {"difference": {}, "same_bits_at_any_width": {}, "upload_s": {}}
    for place, precision in enumerate(precisions):
        whole = bench.until
        bench.until = _share(whole, parts=len(precisions) - place)
        if precision in arrays:
            result.setdefault("full", {})[precision] = full(shape, bench, precision=precision)
            bench.clear()
        settings = settings_of(shape, precision=precision, device=str(bench.place.type))
        with arithmetic(settings, mixed=False):
            contenders = _contenders(settings, bench, result, array=precision in arrays)
            times = bench.each(contenders)
        result.setdefault("trial_step_s", {}).update(_medians(times))
        result.setdefault("over_alone", {}).update(_ratios(times))
        del contenders
        bench.clear()
        bench.until = whole
    result["over_fastest_alone"] = _over_fastest(result["trial_step_s"])
    return result


def _share(until: float, *, parts: int) -> float:
    now = time.monotonic()
    return now + (until - now) / parts


def _contenders(
    settings: Settings, bench: Bench, result: dict[str, Any], *, array: bool
) -> dict[str, Contender]:
    """Make what is timed against each other in one precision, as long as there is time."""
    precision = settings.train.precision
    begun = time.perf_counter()
    task = task_of(settings, rows=bench.rows, validation=bench.validation, place=bench.place)
    bench.wait()
    result["upload_s"][precision] = time.perf_counter() - begun  # of the series
    found: dict[str, Contender] = {}
    for graph in (False, True) if bench.cuda else (False,):
        name = f"{'graph' if graph else 'alone'} {precision}"
        with left_out(name, result):
            found[name] = Contender(1, Alone(settings, task, graph=graph).step)
    for kind, tools in tools_for(task.form, bench).items() if array else ():
        own = f"{kind} {precision}"
        with left_out(own, result):
            bench.check()
            engine = tools.engine
            result["difference"][own] = difference(engine, task.form, device=bench.place)
            result["same_bits_at_any_width"][own] = same_at_any_width(
                engine, task.form, device=bench.place, lanes=8
            )
        for lanes in (2, 1) if bench.smoke else (64, 8, 1):
            name = f"array {own} K={lanes}"
            if bench.cuda and lanes * lane_bytes(task) > 0.2 * memory():
                result.setdefault("left_out", {})[name] = "beside the others it does not fit"
                continue
            with left_out(name, result):
                bench.check()
                block = block_of(settings, task, lanes=lanes, tools=tools)
                found[name] = Contender(lanes, repeat(block, task.steps))
    return found


def _medians(times: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(own) for name, own in times.items()}


def _ratios(times: Mapping[str, list[float]]) -> dict[str, float]:
    """Median of the rounds' ratios over the fastest 'alone' of this precision."""
    base = min(
        (n for n in times if n.startswith("alone")), key=lambda n: statistics.median(times[n])
    )
    return {
        name: statistics.median(b / own for b, own in zip(times[base], found, strict=True))
        for name, found in times.items()
    }


def _over_fastest(times: Mapping[str, float]) -> dict[str, float]:
    """Compare with one trial at a time in whichever precision that is fastest."""
    base = min(own for name, own in times.items() if name.startswith("alone"))
    return {name: base / own for name, own in times.items()}
