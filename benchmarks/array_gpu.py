"""Measure the training array on a GPU against one trial at a time, as ratios in one run.

    python benchmarks/array_gpu.py                 12 shapes, at most 8 minutes
    python benchmarks/array_gpu.py --full          the guide's 144 shapes; go on by running it again
    python benchmarks/array_gpu.py --cpu-smoke     tiny shapes on the CPU: does it run at all?

Results are kept in a JSON file after each shape, and what stands there is not measured again. A
trial-step is one optimiser step of one trial; compiling, capturing and uploading are listed apart.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from array_baseline import Alone  # noqa: E402

from sweep.plan.settings import Data, Model, Optim, Settings, Train  # noqa: E402
from sweep.train import model as models  # noqa: E402
from sweep.train.array.block import WEIGHTS, Block, Leg, Task  # noqa: E402
from sweep.train.array.engines import (  # noqa: E402
    PLAIN,
    Tools,
    difference,
    persistent,
    same_at_any_width,
)
from sweep.train.array.form import Form, form_of  # noqa: E402
from sweep.train.array.memory import lane_bytes  # noqa: E402
from sweep.train.array.network import Source  # noqa: E402
from sweep.train.array.rates import moving  # noqa: E402
from sweep.train.precision import arithmetic  # noqa: E402
from sweep.train.schedule import Plateau  # noqa: E402

ROWS, VALIDATION, COLUMNS = 8640, 2880, 7  # as ETTh1 has them
EPOCHS, EPOCHS_HALVING = 50, 3.28  # a trial of the grid; by rungs at 1, 3, 9, 27 and 50
MOST_LANES = 512
ROUNDS, ROUNDS_OF_SMOKE = 5, 2


@dataclass(frozen=True)
class Shape:
    """Layers, units, time steps and windows a step."""

    layers: int
    hidden: int
    length: int
    batch: int

    @property
    def name(self) -> str:
        """Name it, as the JSON does."""
        return f"L{self.layers} H{self.hidden} T{self.length} B{self.batch}"

    @property
    def cells(self) -> float:
        """Count window, time step, unit and layer of one step."""
        return float(self.batch * self.length * self.hidden * self.layers)

    @property
    def flop(self) -> float:
        """Count the operations of one step, forward and backward."""
        inputs = [COLUMNS, *[self.hidden] * (self.layers - 1)]
        each = sum(8 * self.length * self.hidden * (size + self.hidden) for size in inputs)
        return 3.0 * self.batch * each

    @property
    def steps(self) -> int:
        """Count the steps of an epoch."""
        return -(-(ROWS - self.length) // self.batch)


NAMED = [
    Shape(1, 50, 10, 32), Shape(1, 50, 50, 32), Shape(1, 100, 50, 32), Shape(3, 50, 100, 64),
    Shape(2, 100, 100, 64), Shape(1, 200, 50, 32), Shape(1, 500, 10, 32), Shape(1, 500, 50, 64),
    Shape(2, 500, 50, 128), Shape(3, 500, 100, 64), Shape(1, 500, 200, 128), Shape(2, 500, 100, 32),
]  # fmt: skip
HELD_OUT = {"L1 H100 T50 B32", "L2 H500 T50 B128", "L3 H500 T100 B64"}  # of the extrapolation
SHARED = ("L1 H50 T50 B32", "L1 H100 T50 B32", "L1 H8 T4 B8")  # measured with several processes too
GRID = [
    Shape(layers, hidden, length, batch)
    for hidden in (50, 100, 200, 500)
    for layers in (1, 2, 3)
    for batch in (32, 64, 128)
    for length in (10, 50, 100, 200)
]
SMOKE = [Shape(1, 8, 4, 8), Shape(2, 8, 6, 8)]
ELEMENTS = 40  # that a step reads and writes a cell, counted over the kernels of `fused`


def distinct(shape: Shape) -> int:
    """Count the trials of the guide's whole grid that have this shape and differ in effect."""
    return 108 if shape.layers == 1 else 432  # dropout, of four rates, acts between layers


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
        source=Source(values, 1, length, 1),
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


@dataclass
class Contender:
    """Something that takes steps of some trials at once."""

    trials: int
    step: Callable[[], None]
    set_up_s: float = 0.0


class Bench:
    """The device, and how time is taken on it."""

    def __init__(self, *, smoke: bool) -> None:
        self.smoke = smoke
        self.cuda = not smoke
        self.place = torch.device("cuda" if self.cuda else "cpu")
        self.rows, self.validation = (80, 20) if smoke else (ROWS, VALIDATION)
        self.round_s = 0.02 if smoke else 0.25

    def wait(self) -> None:
        """Wait until the device has done all that was asked of it."""
        if self.cuda:
            torch.cuda.synchronize()

    def seconds(self, work: Callable[[], None], times: int) -> float:
        """Time some repetitions, until the device is done."""
        self.wait()
        begun = time.perf_counter()
        for _ in range(times):
            work()
        self.wait()
        return time.perf_counter() - begun

    def each(self, contenders: Mapping[str, Contender]) -> dict[str, list[float]]:
        """Time all in turn, in rounds of swapped order: seconds a trial-step."""
        times: dict[str, int] = {}
        for name, own in contenders.items():
            own.step()
            once = self.seconds(own.step, 2) / 2
            times[name] = max(1, min(100, int(self.round_s / max(once, 1e-6))))
        found: dict[str, list[float]] = {name: [] for name in contenders}
        for number in range(ROUNDS_OF_SMOKE if self.smoke else ROUNDS):
            names = list(contenders)[:: 1 if number % 2 else -1]
            for name in names:
                own = contenders[name]
                took = self.seconds(own.step, times[name])
                found[name].append(took / times[name] / own.trials)
        return found

    def clear(self) -> None:
        """Give memory back."""
        gc.collect()
        if self.cuda:
            torch.cuda.empty_cache()


def tools_for(form: Form, bench: Bench) -> dict[str, Tools]:
    """Offer torch's own operations, and the kernels where there is a GPU."""
    found = {"ops": PLAIN}
    if bench.cuda:
        from sweep.train.array import kernels

        found["fused"] = Tools(kernels.Fused(), kernels.kept, kernels.update)
        if kernels.fits(form.hidden, form.factors):
            found["persistent"] = Tools(persistent(form.precision), kernels.kept, kernels.update)
    return found


def measure(shape: Shape, bench: Bench, *, precisions: Sequence[str]) -> dict[str, Any]:
    """Measure one shape: baselines, lanes, kernels and precisions."""
    result: dict[str, Any] = {"set_up_s": {}, "difference": {}, "same_bits_at_any_width": {}}
    device = str(bench.place.type)
    contenders: dict[str, Contender] = {}
    for precision in precisions:
        settings = settings_of(shape, precision=precision, device=device)
        rows = {"rows": bench.rows, "validation": bench.validation, "place": bench.place}
        task = task_of(settings, **rows)
        with arithmetic(settings, mixed=False):
            for graph in (False, True) if bench.cuda else (False,):
                name = f"{'graph' if graph else 'alone'} {precision}"
                with left_out(name, result):
                    contenders[name] = Contender(1, Alone(settings, task, graph=graph).step)
            for kind, tools in tools_for(task.form, bench).items():
                check = f"{kind} {precision}"
                result["difference"][check] = difference(
                    tools.engine, task.form, device=bench.place
                )
                result["same_bits_at_any_width"][check] = same_at_any_width(
                    tools.engine, task.form, device=bench.place, lanes=8
                )
                for lanes in (1, 2) if bench.smoke else (1, 8, 64):
                    if bench.cuda and lanes * lane_bytes(task) > 0.2 * _memory():
                        continue
                    name = f"array {kind} {precision} K={lanes}"
                    with left_out(name, result):
                        begun = time.perf_counter()
                        block = block_of(settings, task, lanes=lanes, tools=tools)
                        bench.wait()
                        result["set_up_s"][name] = time.perf_counter() - begun
                        contenders[name] = Contender(lanes, _repeat(block, task.steps))
            times = bench.each(contenders)
        result.setdefault("trial_step_s", {}).update(_medians(times))
        result.setdefault("over_alone", {}).update(_ratios(times))
        contenders.clear()
        bench.clear()
        result.setdefault("full", {})[precision] = full(shape, bench, precision=precision)
        bench.clear()
    return result


def full(shape: Shape, bench: Bench, *, precision: str) -> dict[str, Any]:
    """Fill the device with blocks and measure steps, validation and watts."""
    settings = settings_of(shape, precision=precision, device=str(bench.place.type))
    task = task_of(settings, rows=bench.rows, validation=bench.validation, place=bench.place)
    width = 2 if bench.smoke else 64
    blocks = 2
    if bench.cuda:
        fitting = int(0.8 * _memory() // (lane_bytes(task) * width))
        blocks = max(1, min(MOST_LANES // width, fitting))
        if fitting == 0:
            width = max(1, int(0.8 * _memory() // lane_bytes(task)))
    found: dict[str, Any] = {}
    for kind, tools in tools_for(task.form, bench).items():
        with arithmetic(settings, mixed=False):
            own = [block_of(settings, task, lanes=width, tools=tools) for _ in range(blocks)]
            steps = [_repeat(block, task.steps) for block in own]
            lanes = width * blocks

            def together(steps: list[Callable[[], None]] = steps) -> None:
                for step in steps:
                    step()

            def validate(own: list[Block] = own) -> None:
                for block in own:
                    block.validate()

            with watts(bench) as drawn:
                times = bench.each({"full": Contender(lanes, together)})["full"]
            validation = bench.seconds(validate, 2) / 2 / lanes
        step = statistics.median(times)
        power = statistics.fmean(drawn) if drawn else None
        found[kind] = {
            "lanes": lanes,
            "trial_step_s": step,
            "spread": (max(times) - min(times)) / step,
            "trial_validation_s": validation,
            "joules_per_trial_step": None if power is None else power * step,
            "flop_per_s": shape.flop / step,
            "bytes_per_s": ELEMENTS * task.form.factors.itemsize * shape.cells / step,
            "memory_bytes": torch.cuda.max_memory_allocated() if bench.cuda else None,
        }
        del own, steps, together, validate
        bench.clear()
    return found


def ceilings(bench: Bench) -> dict[str, float]:
    """Measure what the device does at most: products by precision, and a copy."""
    size, found = (64 if bench.smoke else 8192), {}
    for name, kind in (("bfloat16", torch.bfloat16), ("float32", torch.float32)):
        a, b = (torch.randn(size, size, dtype=kind, device=bench.place) for _ in range(2))
        a @ b
        found[f"{name}_flop_per_s"] = 2 * size**3 * 10 / bench.seconds(lambda a=a, b=b: a @ b, 10)
    source = torch.randn((1 << 20) if bench.smoke else (1 << 29), device=bench.place)
    target = torch.empty_like(source)
    took = bench.seconds(lambda: target.copy_(source), 10)
    return found | {"copy_bytes_per_s": 2 * source.numel() * 4 * 10 / took}


def several_processes(shape: Shape, bench: Bench, *, count: int) -> float:
    """Let some processes train a trial each at once; seconds a trial-step, all together."""
    words = [sys.executable, __file__, "--alone", json.dumps(vars(shape))]
    words += ["--cpu-smoke"] if bench.smoke else []
    started = [
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    for each in started:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in started:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    rates = [json.loads(each.communicate()[0]) for each in started]
    return 1 / sum(rates)


def alone(shape: Shape, bench: Bench) -> None:
    """Be one of several processes: say when ready, then train for a while."""
    settings = settings_of(shape, precision="float32", device=str(bench.place.type))
    task = task_of(settings, rows=bench.rows, validation=bench.validation, place=bench.place)
    with arithmetic(settings, mixed=False):
        own = Alone(settings, task, graph=False)
        for _ in range(3):
            own.step()
        bench.wait()
        print("ready", flush=True)
        sys.stdin.readline()
        begun, done = time.perf_counter(), 0
        while time.perf_counter() - begun < (0.1 if bench.smoke else 5.0):
            bench.seconds(own.step, 20)
            done += 20
    print(json.dumps(done / (time.perf_counter() - begun)))


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


def scores(bench: Bench) -> dict[str, Any]:
    """Train 20 configurations in float32 and in bfloat16, and compare their validation scores."""
    from array_scores import change_of_scores

    return change_of_scores(device=str(bench.place.type), count=2 if bench.smoke else 20)


@contextmanager
def left_out(name: str, result: dict[str, Any]) -> Iterator[None]:
    """Note why a contender cannot be had here, and let the others go on."""
    try:
        yield
    except (RuntimeError, NotImplementedError) as error:  # out of memory is a RuntimeError
        result.setdefault("left_out", {})[name] = f"{type(error).__name__}: {error}"[:500]


@contextmanager
def watts(bench: Bench) -> Iterator[list[float]]:
    """Sample the power that the driver tells, every quarter of a second."""
    drawn: list[float] = []
    over = Event()
    command = ["nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits"]

    def sample() -> None:
        while not over.wait(0.25):
            try:
                told = subprocess.run(command, capture_output=True, text=True, check=True)
                drawn.append(float(told.stdout.splitlines()[0]))
            except (OSError, ValueError, IndexError, subprocess.SubprocessError):
                return

    thread = Thread(target=sample)
    if bench.cuda:
        thread.start()
    yield drawn
    over.set()
    if bench.cuda:
        thread.join()


def _features(shape: Shape) -> np.ndarray:
    return np.array([shape.flop, shape.cells, float(shape.length * shape.layers)])


def _best(kinds: Mapping[str, Any]) -> tuple[float, float]:
    own = min(kinds.values(), key=lambda kind: kind["trial_step_s"])
    return own["trial_step_s"], own["trial_validation_s"]


def _repeat(block: Block, steps: int) -> Callable[[], None]:
    """Step on and on: the tables of an epoch are begun again where they end."""
    taken = 0

    def step() -> None:
        nonlocal taken
        if taken and taken % steps == 0:
            block.rewind()
        taken += 1
        block.step()

    return step


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


def _memory() -> float:
    return float(torch.cuda.get_device_properties(0).total_memory)


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
    precisions = ["float32", "bfloat16"] + (["tf32"] if bench.cuda else [])
    deadline = time.monotonic() + 60 * options.minutes
    kept.setdefault("ceilings", ceilings(bench))
    for shape in SMOKE if bench.smoke else GRID if options.full else NAMED:
        if shape.name in kept["shapes"]:
            continue
        if time.monotonic() > deadline:
            print(f"time is up; run it again to go on from {file}")
            break
        kept["shapes"][shape.name] = _measured(shape, bench, precisions)
        file.write_text(json.dumps(kept, indent=1))
        _print(shape, kept["shapes"][shape.name], kept["ceilings"])
    if "scores" not in kept and time.monotonic() < deadline:
        kept["scores"] = scores(bench)
    if bench.cuda:
        kept["grid"] = {p: extrapolate(kept["shapes"], precision=p) for p in precisions}
    file.write_text(json.dumps(kept, indent=1))
    for key in ("ceilings", "grid", "scores"):
        print(f"{key}: {json.dumps(kept.get(key))}")


def _opened(file: Path, bench: Bench) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"shapes": {}}
    name = torch.cuda.get_device_name() if bench.cuda else "cpu"
    if kept.setdefault("device", name) != name:
        sys.exit(f"{file} was measured on {kept['device']}, this is {name}; name another --out")
    kept["versions"] = {"torch": torch.__version__, "cuda": torch.version.cuda}
    return kept


def _measured(shape: Shape, bench: Bench, precisions: Sequence[str]) -> dict[str, Any]:
    found = measure(shape, bench, precisions=precisions)
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
        product = "bfloat16" if precision == "bfloat16" else "float32"
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
