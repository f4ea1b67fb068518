"""Keep what every configuration of a grid came to, epoch by epoch, for several seeds."""

from __future__ import annotations

import gzip
import itertools
import json
import multiprocessing
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sweep.plan.application import Decision, Epoch
from sweep.search.blind import Random
from sweep.search.space import Choice, Point, Space, identity

SEEDS = (0, 1, 2)
LEAST_SEEDS = 3
# 240 configurations around the guide's; its dearest values are left out, so that a night is enough.
FULL = Space(
    {
        "optim.lr": Choice((0.0001, 0.0003, 0.001, 0.003, 0.01)),
        "model.hidden_size": Choice((25, 50, 100)),
        "model.num_layers": Choice((1, 2)),
        "train.batch_size": Choice((32, 128)),
        "data.lookback": Choice((24, 72)),
        "model.output_dropout": Choice((0.0, 0.3)),
    }
)
SMALL = Space(
    {
        "optim.lr": Choice((0.0003, 0.003)),
        "model.hidden_size": Choice((10, 20)),
        "model.num_layers": Choice((1,)),
        "train.batch_size": Choice((128, 256)),
        "data.lookback": Choice((12, 24)),
        "model.output_dropout": Choice((0.0, 0.3)),
    }
)
SPACES = {"full": FULL, "small": SMALL}
# Values that a recording leaves for later, so that a partial one is a whole grid all the same.
LATER: Mapping[str, Mapping[Any, int]] = {
    "optim.lr": {0.0003: 1, 0.01: 1, 0.0001: 2},
    "model.hidden_size": {100: 2},
    "model.num_layers": {2: 1},
    "train.batch_size": {32: 1},
    "data.lookback": {72: 1},
}
LEVELS = 3
ROWS = 1500  # hours that are trained on, so that an evening is enough for a whole recording
HELD = 700  # hours of validation after them, and as many of test, which nothing here looks at


@dataclass(frozen=True)
class Curve:
    """One training: what it had come to, and what it had cost, after each epoch."""

    val: Sequence[float]
    train: Sequence[float]
    cpu_s: Sequence[float]  # of each epoch


@dataclass(frozen=True)
class Recording:
    """The curves of every configuration of a space, for the same seeds."""

    space: Space
    curves: Mapping[Any, Mapping[int, Curve]]  # by identity of the configuration, then by seed

    @property
    def epochs(self) -> int:
        """Count the epochs of each training."""
        return min(len(curve.val) for own in self.curves.values() for curve in own.values())

    @property
    def seeds(self) -> Sequence[int]:
        """List the seeds that every configuration was trained with."""
        return sorted(next(iter(self.curves.values())))

    def worth(self, point: Point, *, epochs: int, seeds: Sequence[int]) -> float:
        """Give what a configuration comes to: its lowest loss so far, as the mean of some seeds."""
        own = self.curves[identity(point)]
        return sum(min(own[seed].val[:epochs]) for seed in seeds) / len(seeds)

    def value(self, point: Point) -> float:
        """Give the mean over all seeds of a configuration's lowest loss."""
        return self.worth(point, epochs=self.epochs, seeds=self.seeds)


@dataclass(frozen=True)
class Taken:
    """How far a recording is, and what the whole of it takes."""

    done: int
    wanted: int
    cpu_minutes: float  # that the done ones took
    whole_cpu_minutes: float  # by the operations of the others


def record(
    file: Path,
    *,
    grid: str,
    seeds: Sequence[int],
    epochs: int,
    rows: int,
    workers: int,
    minutes: float,
) -> Taken:
    """Train what is missing of a grid, as long as there is time.

    The core of the grid comes first, with all seeds, then the values around it: so a recording that
    was cut short is a whole grid of fewer values.
    """
    space = SPACES[grid]
    setting = {"grid": grid, "epochs": epochs, "rows": rows}
    points = Random(space).suggest([], most=space.size or 0).points
    every = sorted(
        ((point, seed) for point in points for seed in seeds), key=lambda task: level(task[0])
    )
    known = {(identity(line["point"]), line["seed"]) for line in _lines(file, setting)}
    until = time.monotonic() + 60 * minutes
    base = _base(rows)
    context = multiprocessing.get_context("spawn")
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as out, context.Pool(workers) as pool:
        train = partial(_train, base, epochs)
        left = iter([task for task in every if (identity(task[0]), task[1]) not in known])
        # A pool takes all that it is given at once, so it is given little at a time.
        while time.monotonic() < until and (some := list(itertools.islice(left, 2 * workers))):
            for line in pool.imap_unordered(train, some):
                out.write(json.dumps({**setting, **line}) + "\n")
                out.flush()
    taken = [line for line in _lines(file, setting) if line["seed"] in seeds]
    return _taken(taken, every, base, epochs)


def level(point: Point) -> int:
    """Tell which part of the recording a configuration belongs to: the core is 0."""
    return max(LATER.get(key, {}).get(value, 0) for key, value in point.items())


def load(file: Path) -> Recording:
    """Read the largest whole grid of a recording.

    Raises SystemExit where not even the core is there with three seeds, for a replay searches with
    one, confirms with another and scores with the rest. Seeds that are not complete are left out.
    """
    lines = list(_lines(file))
    if not lines:
        raise SystemExit(f"{file}: nothing is recorded; run the record command first")
    setting = {key: lines[0][key] for key in ("grid", "epochs", "rows")}
    space = SPACES[lines[0]["grid"]]
    found: dict[Any, dict[int, Curve]] = {}
    for line in _lines(file, setting):
        curve = Curve(line["val"], line["train"], line["cpu_s"])
        found.setdefault(identity(line["point"]), {})[line["seed"]] = curve
    for part in reversed([_part(space, most) for most in range(LEVELS)]):
        own = [found.get(identity(part.crossed(i)), {}) for i in range(part.size or 0)]
        seeds = sorted(set.intersection(*(set(curves) for curves in own)))
        if len(seeds) >= LEAST_SEEDS:
            keys = [identity(part.crossed(i)) for i in range(part.size or 0)]
            return Recording(part, {key: {s: found[key][s] for s in seeds} for key in keys})
    raise SystemExit(
        f"{file}: of {space.size} configurations {len(found)} are recorded, not all with "
        f"{LEAST_SEEDS} seeds; go on"
    )


def _part(space: Space, most: int) -> Space:
    return Space(
        {
            key: Choice(tuple(v for v in axis.values if LATER.get(key, {}).get(v, 0) <= most))
            for key, axis in space.axes.items()
            if isinstance(axis, Choice)
        }
    )


def _taken(
    lines: Sequence[Mapping[str, Any]],
    every: Sequence[tuple[Point, int]],
    base: Mapping[str, Any],
    epochs: int,
) -> Taken:
    from sweep.app import cost
    from sweep.schema import flatten

    def flop(point: Point) -> float:
        return cost({**flatten(base), **point, "train.epochs": epochs}).flop

    spent = sum(sum(line["cpu_s"]) for line in lines) / 60
    done = sum(flop(line["point"]) for line in lines)
    whole = sum(flop(point) for point, _ in every)
    return Taken(len(lines), len(every), spent, spent * whole / done if done else 0.0)


def _lines(file: Path, setting: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
    """Read the lines of one setting; one that was cut off by a kill is passed over."""
    if not file.exists():
        return
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as opened:
        texts = opened.read().splitlines()
    for text in texts:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if setting is None or setting.items() <= line.items():
            yield line


def _base(rows: int) -> dict[str, Any]:
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from sweep.app import configs

    with initialize_config_dir(str(configs().absolute()), version_base="1.3"):
        split = f"data.split=[{rows},{HELD},{HELD}]"
        words = ["+experiment=forecast", "train.patience=null", split]
        tree = OmegaConf.to_container(compose("config", words), resolve=True)
    assert isinstance(tree, dict)
    return {str(key): value for key, value in tree.items()}


def _train(base: Mapping[str, Any], epochs: int, task: tuple[Point, int]) -> dict[str, Any]:
    from sweep.app import run, warm
    from sweep.schema import flatten, unflatten

    warm()
    point, seed = task
    flat = {**flatten(base), **point, "train.seed": seed, "train.epochs": epochs}
    spent = [time.process_time()]

    def tell(_: Epoch) -> Decision:
        spent.append(time.process_time())
        return Decision.GO_ON

    result = run(unflatten(flat), tell)
    history = result.history
    worst = 1e9  # of an epoch that a diverged training never reached
    fill = [worst] * (epochs - len(history["val_loss"]))
    return {
        "point": dict(point),
        "seed": seed,
        "val": [worst if v is None else v for v in history["val_loss"]] + fill,
        "train": [worst if v is None else v for v in history["train_loss"]] + fill,
        "cpu_s": [after - before for before, after in itertools.pairwise(spent)]
        + [0.0] * len(fill),
    }
