"""The benchmark of the array runs to its end without a GPU, and goes on where it stopped."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from lanes.foretelling import extrapolate, goals, persistent_up_to  # noqa: E402
from lanes.shapes import GOAL, GRID, NAMED, Shape, distinct  # noqa: E402
from lanes.timing import Bench, Contender, TimeUp  # noqa: E402

# Of what this repository else needs, to see that the benchmark does without.
ABSENT = ("hydra", "omegaconf", "pydantic", "mlflow", "boto3", "kubernetes", "optuna", "rich")
ALONE = f"""
import runpy, sys
sys.modules.update(dict.fromkeys({ABSENT!r}))
sys.argv = [{str(BENCHMARKS / "array_gpu.py")!r}, "--cpu-smoke"]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=folder, capture_output=True, text=True, check=False
    )
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
    assert first["over_fastest_alone"].keys() == first["trial_step_s"].keys()
    assert max(v for k, v in first["over_fastest_alone"].items() if k[:5] == "alone") == 1
    assert {"compile_s", "capture_s"} <= first["full"]["bfloat16"]["ops"].keys()
    assert first["upload_s"].keys() == {"float32", "bfloat16"}
    assert found["start_up_s"].keys() == {"importing", "context"}
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


def measured(units: int, **kinds: float) -> dict[str, object]:
    own = {kind: {"trial_step_s": seconds} for kind, seconds in kinds.items()}
    return {"shape": vars(Shape(1, units, 10, 32)), "full": {"bfloat16": own}}


def test_the_persistent_kernel_is_for_as_many_units_as_it_won_with_wherever_it_ran() -> None:
    small = measured(50, fused=2.0, persistent=1.0)
    larger, largest = measured(100, fused=2.0, persistent=3.0), measured(128, fused=2, persistent=1)

    assert persistent_up_to({"a": small, "b": measured(500, fused=1.0)}) == 50
    assert persistent_up_to({"a": small, "b": larger, "c": largest}) == 50
    assert persistent_up_to({"b": larger}) == 0
    assert persistent_up_to({}) == 0


def test_what_was_aimed_at_stands_beside_what_was_measured() -> None:
    ratios = {"alone float32": 1.0, "array fused float32 K=8": 3.0, "array ops float32 K=8": 0.5}
    wide = {"array fused float32 K=64": 2.0, "array fused float32 K=1": 0.2}
    kept = {
        "shapes": {
            GOAL: {
                "full": {"float32": {"fused": {"trial_step_s": 1e-5}}},
                "trial_step_s": {"alone float32": 6e-4},
                "over_fastest_alone": ratios | wide,
            }
        },
        "grid": {"bfloat16": {"gpu_hours": 21.0, "gpu_hours_with_halving": 1.4}},
    }

    found = goals(kept)

    assert found[f"{GOAL}, fused: times one at a time, aimed at 50"] == {
        "float32": pytest.approx(60)
    }
    assert found[f"{GOAL}, persistent: times one at a time, aimed at 100"] == {}
    assert found["slowest with 8 lanes or more, aimed at 1"] == {GOAL: 2.0}
    assert found["GPU-hours of the grid in bfloat16, aimed at 20"] == 21.0


def test_a_shape_that_has_had_its_time_begins_nothing_more_and_repeats_less() -> None:
    bench, done = Bench(smoke=True), []
    bench.until = 0.0

    with pytest.raises(TimeUp):
        bench.check()
    found = bench.each({"a": Contender(1, lambda: done.append(1))})

    assert len(found["a"]) == 2
    assert len(done) == 3 + 2  # to warm up and to guess, then once a round
