"""Keep what every configuration of a grid came to, epoch by epoch, for several seeds."""

from __future__ import annotations

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

    def value(self, point: Point, *, epochs: int) -> float:
        """Give what a configuration is truly worth: the mean over seeds of its lowest loss."""
        own = self.curves[identity(point)].values()
        return sum(min(curve.val[:epochs]) for curve in own) / len(own)


def record(file: Path, *, grid: str, epochs: int, workers: int, minutes: float) -> tuple[int, int]:
    """Train what is missing of a grid, in random order, as long as there is time.

    Returns how many trainings are recorded, and how many there are in all. Seeds come one after
    another, so that a short recording has many configurations rather than many seeds.
    """
    space = SPACES[grid]
    done = {(identity(line["point"]), line["seed"]) for line in _lines(file)}
    points = Random(space).suggest([], most=space.size or 0).points
    wanted = [
        (point, seed) for seed in SEEDS for point in points if (identity(point), seed) not in done
    ]
    until = time.monotonic() + 60 * minutes
    base = _base()
    context = multiprocessing.get_context("spawn")
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as out, context.Pool(workers) as pool:
        train = partial(_train, base, epochs)
        left = iter(wanted)
        # A pool takes all that it is given at once, so it is given little at a time.
        while time.monotonic() < until and (some := list(itertools.islice(left, 4 * workers))):
            for line in pool.imap_unordered(train, some):
                out.write(json.dumps({"grid": grid, **line}) + "\n")
                out.flush()
    done = {(identity(line["point"]), line["seed"]) for line in _lines(file)}
    return len(done), len(SEEDS) * len(points)


def load(file: Path) -> Recording:
    """Read a recording that has every configuration for at least one seed.

    Raises SystemExit where it is too short; seeds that are not complete are left out.
    """
    lines = list(_lines(file))
    if not lines:
        raise SystemExit(f"{file}: nothing is recorded; run the record command first")
    space = SPACES[lines[0]["grid"]]
    found: dict[Any, dict[int, Curve]] = {}
    for line in lines:
        curve = Curve(line["val"], line["train"], line["cpu_s"])
        found.setdefault(identity(line["point"]), {})[line["seed"]] = curve
    whole = [seed for seed in SEEDS if sum(seed in own for own in found.values()) == space.size]
    if not whole:
        raise SystemExit(f"{file}: {len(found)} of {space.size} configurations are recorded; go on")
    return Recording(space, {key: {s: own[s] for s in whole} for key, own in found.items()})


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    if file.exists():
        for text in file.read_text().splitlines():
            yield json.loads(text)


def _base() -> dict[str, Any]:
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from sweep.app import configs

    with initialize_config_dir(str(configs().absolute()), version_base="1.3"):
        words = ["+experiment=forecast", "train.patience=null"]
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
