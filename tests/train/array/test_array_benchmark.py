"""The benchmark of the array runs to its end without a GPU, and goes on where it stopped."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from array_gpu import GRID, NAMED, Shape, distinct, extrapolate  # noqa: E402


def run(folder: Path) -> str:
    command = [sys.executable, str(BENCHMARKS / "array_gpu.py"), "--cpu-smoke"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_it_measures_tiny_shapes_on_the_cpu_once(tmp_path: Path) -> None:
    said = run(tmp_path)
    found = json.loads((tmp_path / "array_gpu.json").read_text())

    again = run(tmp_path)

    assert "us a trial-step" in said
    assert "us a trial-step" not in again  # what stands in the file is not measured again
    assert json.loads((tmp_path / "array_gpu.json").read_text()) == found
    first = found["shapes"]["L1 H8 T4 B8"]
    assert set(first["full"]) == {"float32", "bfloat16"}
    assert first["difference"]["ops float32"] < 1e-5
    assert first["same_bits_at_any_width"]["ops float32"]
    assert first["1 processes float32"] > 0
    assert found["scores"]["configurations"] == 2
    assert "grid" not in found  # of a CPU nothing is foretold


def test_the_grid_has_as_many_trials_as_differ_in_effect_and_half_the_shapes_have_500_units() -> (
    None
):
    assert len(GRID) == 144
    assert sum(map(distinct, GRID)) == 46_656
    assert len(NAMED) == 12
    assert sum(shape.hidden == 500 for shape in NAMED) >= 6


def test_what_is_foretold_is_what_a_device_of_known_speed_would_take() -> None:
    def step(shape: Shape) -> float:
        return shape.flop / 1e14 + shape.cells * 1e-11

    shapes = {
        shape.name: {
            "shape": vars(shape),
            "full": {"bfloat16": {"fused": {"trial_step_s": step(shape), "trial_validation_s": 0}}},
        }
        for shape in NAMED
    }

    found = extrapolate(shapes, precision="bfloat16")

    exact = sum(distinct(s) * 50 * s.steps * step(s) for s in GRID) / 3600
    assert found["gpu_hours"] == pytest.approx(exact, rel=1e-3)
    assert len(found["held_out_error"]) == 3
    assert all(abs(error) < 1e-3 for error in found["held_out_error"].values())
