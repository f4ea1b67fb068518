"""Measure the training array on a GPU against one trial at a time, as ratios in one run.

    python benchmarks/array_gpu.py                 12 shapes, at most 8 minutes
    python benchmarks/array_gpu.py --full          the guide's 144 shapes; go on by running it again
    python benchmarks/array_gpu.py --cpu-smoke     tiny shapes on the CPU: does it run at all?

Needs torch, NumPy and this repository, nothing else. Results are kept in a JSON file after each
shape, and what stands there is not measured again. A trial-step is one optimiser step of one trial;
starting, uploading, compiling and capturing are listed apart. Each shape has its share of the time
that is left: what does not fit into it is left out, and named.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BEGUN = time.perf_counter()

import torch  # noqa: E402

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from lanes.contenders import measure  # noqa: E402
from lanes.foretelling import extrapolate, goals, persistent_up_to  # noqa: E402
from lanes.full import ceilings  # noqa: E402
from lanes.processes import alone, several_processes  # noqa: E402
from lanes.scores import change_of_scores  # noqa: E402
from lanes.shapes import GOAL, GRID, NAMED, SHARED, SMOKE, Shape  # noqa: E402
from lanes.timing import Bench  # noqa: E402

IMPORTED_S = time.perf_counter() - BEGUN
FOR_SCORES_S = 45.0  # of the time, kept for training 20 configurations twice
LEAST_S = 15.0  # that a shape gets; a run goes on later rather than measure in less


def main() -> None:
    """Measure what the file lacks, as long as there is time; print the table."""
    options = _options()
    bench = Bench(smoke=options.cpu_smoke)
    if options.alone:
        alone(Shape(**json.loads(options.alone)), bench)
        return
    if bench.cuda and not torch.cuda.is_available():
        sys.exit("no GPU here; --cpu-smoke runs it on the CPU at small size")
    file = Path(options.out)
    kept = _opened(file, bench)
    kept.setdefault("start_up_s", {"importing": IMPORTED_S, "context": _first_touch(bench)})
    deadline = time.monotonic() + 60 * options.minutes
    kept.setdefault("ceilings", ceilings(bench))
    shapes = SMOKE if bench.smoke else GRID if options.full else NAMED
    todo = [shape for shape in shapes if shape.name not in kept["shapes"]]
    reserved = 0.0 if bench.smoke or "scores" in kept else FOR_SCORES_S
    for place, shape in enumerate(todo):
        left = deadline - reserved - time.monotonic()
        if left < (0 if bench.smoke else LEAST_S):
            print(f"time is up; run it again to go on from {file}")
            break
        bench.until = time.monotonic() + max(LEAST_S, left / (len(todo) - place))
        kept["shapes"][shape.name] = _measured(shape, bench)
        file.write_text(json.dumps(kept, indent=1))
        _print(shape, kept["shapes"][shape.name], kept["ceilings"])
    if "scores" not in kept and time.monotonic() < deadline:
        kept["scores"] = change_of_scores(
            device=str(bench.place.type), count=2 if bench.smoke else 20
        )
    if bench.cuda:
        kept["grid"] = {
            p: extrapolate(kept["shapes"], precision=p) for p in ("bfloat16", "float32")
        }
        kept["persistent_up_to"] = persistent_up_to(kept["shapes"])
        kept["goals"] = goals(kept)
    file.write_text(json.dumps(kept, indent=1))
    for key in ("start_up_s", "ceilings", "grid", "scores", "goals"):
        print(f"{key}: {json.dumps(kept.get(key))}")
    if bench.cuda:
        print(f"engines.PERSISTENT_UP_TO should be {kept['persistent_up_to']} on this device")


def _first_touch(bench: Bench) -> float:
    """Tell what the first work on the device takes."""
    begun = time.perf_counter()
    torch.ones(1, device=bench.place).add_(1)
    bench.wait()
    return time.perf_counter() - begun


def _opened(file: Path, bench: Bench) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"shapes": {}}
    name = torch.cuda.get_device_name() if bench.cuda else "cpu"
    if kept.setdefault("device", name) != name:
        sys.exit(f"{file} was measured on {kept['device']}, this is {name}; name another --out")
    kept["versions"] = {"torch": torch.__version__, "cuda": torch.version.cuda}
    return kept


def _measured(shape: Shape, bench: Bench) -> dict[str, Any]:
    arrays = ["bfloat16", "float32"]
    precisions = [*arrays, "tf32"] if bench.cuda else arrays
    if shape.name == GOAL:
        arrays = precisions
    found = measure(shape, bench, precisions=precisions, arrays=arrays)
    if shape.name in SHARED:
        count = 1 if bench.smoke else 8
        found[f"{count} processes float32"] = several_processes(shape, bench, count=count)
    return {"shape": vars(shape), **found}


def _print(shape: Shape, found: Mapping[str, Any], most: Mapping[str, float]) -> None:
    print(f"\n{shape.name}")
    for name, seconds in found["trial_step_s"].items():
        ratio = found["over_alone"][name]
        print(f"  {name:36} {1e6 * seconds:12.2f} us a trial-step {ratio:8.2f} x alone")
    for precision, kinds in found["full"].items():
        product = precision
        for kind, own in kinds.items():
            name = f"array {kind} {precision} K={own['lanes']}"
            print(
                f"  {name:36} {1e6 * own['trial_step_s']:12.2f} us a trial-step, "
                f"{own['flop_per_s'] / most[f'{product}_flop_per_s']:.1%} of products, "
                f"{own['bytes_per_s'] / most['copy_bytes_per_s']:.1%} of copies",
                flush=True,
            )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="the guide's 144 shapes")
    parser.add_argument("--cpu-smoke", action="store_true", help="tiny shapes, on the CPU")
    parser.add_argument("--minutes", type=float, default=8.0, help="after which no shape is begun")
    parser.add_argument("--out", default="array_gpu.json", help="results; gone on with if there")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
