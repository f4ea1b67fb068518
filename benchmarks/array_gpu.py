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

BEGUN = time.perf_counter()

import numpy as np  # noqa: E402
import torch  # noqa: E402

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
from sweep.train.array.rates import moving  # noqa: E402
from sweep.train.array.source import Series  # noqa: E402
from sweep.train.precision import arithmetic  # noqa: E402
from sweep.train.schedule import Plateau  # noqa: E402

IMPORTED_S = time.perf_counter() - BEGUN
ROWS, VALIDATION, COLUMNS = 8640, 2880, 7  # as ETTh1 has them
EPOCHS, EPOCHS_HALVING = 50, 3.28  # a trial of the grid; by rungs at 1, 3, 9, 27 and 50
MOST_LANES = 512
ROUNDS, ROUNDS_OF_SMOKE = 5, 2
FOR_SCORES_S = 45.0  # of the time, kept for training 20 configurations twice
LEAST_S = 15.0  # that a shape gets; a run goes on later rather than measure in less
GOAL = "L1 H100 T50 B32"


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
        source=Series(values, 1, length, 1),
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


class TimeUp(RuntimeError):
    """Tell that a shape has had its share of the time."""


class Bench:
    """The device, and how time is taken on it."""

    until = float("inf")  # by time.monotonic, for the shape under way

    def __init__(self, *, smoke: bool) -> None:
        self.smoke = smoke
        self.cuda = not smoke
        self.place = torch.device("cuda" if self.cuda else "cpu")
        self.rows, self.validation = (80, 20) if smoke else (ROWS, VALIDATION)
        self.round_s = 0.02 if smoke else 0.25

    def check(self) -> None:
        """Raise TimeUp where nothing more is to be begun for this shape."""
        if time.monotonic() > self.until:
            raise TimeUp("this shape has had its share of the time")

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
        rounds = ROUNDS_OF_SMOKE if self.smoke else ROUNDS
        left = max(0.0, self.until - time.monotonic()) / (2 * rounds * max(1, len(contenders)))
        for name, own in contenders.items():
            own.step()
            once = self.seconds(own.step, 2) / 2
            times[name] = max(1, min(100, int(min(self.round_s, left) / max(once, 1e-6))))
        found: dict[str, list[float]] = {name: [] for name in contenders}
        for number in range(rounds):
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
    found: dict[str, Tools] = {}
    if bench.cuda:
        from sweep.train.array import kernels

        found["fused"] = Tools(kernels.Fused(), kernels.kept, kernels.update)
        if kernels.fits(form.hidden, form.factors):
            found["persistent"] = Tools(persistent(form.precision), kernels.kept, kernels.update)
    return found | {"ops": PLAIN}  # the most telling first, for time may be short


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
            if bench.cuda and lanes * lane_bytes(task) > 0.2 * _memory():
                result.setdefault("left_out", {})[name] = "beside the others it does not fit"
                continue
            with left_out(name, result):
                bench.check()
                block = block_of(settings, task, lanes=lanes, tools=tools)
                found[name] = Contender(lanes, _repeat(block, task.steps))
    return found


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
    steps = [_repeat(block, task.steps) for block in own]
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
        lanes = max(1, int(0.8 * _memory() // lane_bytes(task)))
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


def _over_fastest(times: Mapping[str, float]) -> dict[str, float]:
    """Compare with one trial at a time in whichever precision that is fastest."""
    base = min(own for name, own in times.items() if name.startswith("alone"))
    return {name: base / own for name, own in times.items()}


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
        kept["scores"] = scores(bench)
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
