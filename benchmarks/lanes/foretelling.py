"""Say what follows from what was measured: the whole grid, the better kernel, the goals."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

import numpy as np

from lanes.shapes import GOAL, GRID, HELD_OUT, Shape, distinct

EPOCHS, EPOCHS_HALVING = 50, 3.28  # a trial of the grid; by rungs at 1, 3, 9, 27 and 50


def extrapolate(shapes: Mapping[str, Any], *, precision: str) -> dict[str, Any]:
    """Fit seconds a trial-step to operations, cells and time steps; foretell the whole grid.

    Three shapes are held out of the fit, and their errors are what it is worth.
    """
    known = {Shape(**each["shape"]): _best(each["full"][precision]) for each in shapes.values()}
    fitted = {shape: s for shape, s in known.items() if shape.name not in HELD_OUT}
    if len(fitted) < 4:
        return {"note": f"{len(fitted)} shapes are too few to fit"}
    weights, _, _, _ = np.linalg.lstsq(
        np.array([_features(shape) / t for shape, (t, _) in fitted.items()]),
        np.ones(len(fitted)),
        rcond=None,
    )
    shares = statistics.median(v / (s.steps * t) for s, (t, v) in known.items())
    total = 0.0
    for shape in GRID:
        least = min(_features(shape)[1] * t / s.cells for s, (t, _) in known.items())
        step = max(float(_features(shape) @ weights), 0.3 * least)
        total += distinct(shape) * EPOCHS * shape.steps * step * (1 + shares)
    return {
        "gpu_hours": total / 3600,
        "gpu_hours_with_halving": total / 3600 * EPOCHS_HALVING / EPOCHS,
        "held_out_error": {
            shape.name: float(_features(shape) @ weights) / t - 1
            for shape, (t, _) in known.items()
            if shape.name in HELD_OUT
        },
        "trials": sum(map(distinct, GRID)),
        "shapes_at_500_units": sum(shape.hidden == 500 for shape in known),
    }


def persistent_up_to(shapes: Mapping[str, Any]) -> int:
    """Tell up to how many units the persistent kernel won wherever it was measured; 0: nowhere.

    This is what `engines.PERSISTENT_UP_TO` is to be on this device.
    """
    wins: dict[int, bool] = {}
    for each in shapes.values():
        for kinds in each["full"].values():
            if "persistent" in kinds and "fused" in kinds:
                won = kinds["persistent"]["trial_step_s"] < kinds["fused"]["trial_step_s"]
                units = each["shape"]["hidden"]
                wins[units] = wins.get(units, True) and won
    found = 0
    for units in sorted(wins):
        if not wins[units]:
            break
        found = units
    return found


def goals(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Put what was aimed at beside what was measured."""
    shapes = kept["shapes"]
    found: dict[str, Any] = {}
    for kind, least in (("fused", 50), ("persistent", 100)):
        own = {}
        for precision, kinds in shapes.get(GOAL, {}).get("full", {}).items():
            alone = shapes[GOAL]["trial_step_s"].get(f"alone {precision}")
            if alone is not None and kind in kinds:
                own[precision] = alone / kinds[kind]["trial_step_s"]
        found[f"{GOAL}, {kind}: times one at a time, aimed at {least}"] = own
    # By the kernels that the array would choose, of which any is among those measured.
    slowest = {
        shape: min(best.values())
        for shape, each in shapes.items()
        if (best := _best_by_lanes(each["over_fastest_alone"]))
    }
    if slowest:
        name = min(slowest, key=lambda shape: slowest[shape])
        found["slowest with 8 lanes or more, aimed at 1"] = {name: slowest[name]}
    hours = kept.get("grid", {}).get("bfloat16", {})
    found["GPU-hours of the grid in bfloat16, aimed at 20"] = hours.get("gpu_hours")
    found["with halving, aimed at 1.5"] = hours.get("gpu_hours_with_halving")
    return found


def _best_by_lanes(ratios: Mapping[str, float]) -> dict[str, float]:
    """Take, for each number of lanes from 8 on, the ratio of the fastest kernel."""
    best: dict[str, float] = {}
    for name, ratio in ratios.items():
        _, _, lanes = name.partition(" K=")
        if lanes and int(lanes) >= 8:
            best[lanes] = max(best.get(lanes, 0.0), ratio)
    return best


def _features(shape: Shape) -> np.ndarray:
    return np.array([shape.flop, shape.cells, float(shape.length * shape.layers)])


def _best(kinds: Mapping[str, Any]) -> tuple[float, float]:
    own = min(kinds.values(), key=lambda kind: kind["trial_step_s"])
    return own["trial_step_s"], own["trial_validation_s"]
