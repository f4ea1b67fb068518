"""Tell Hydra how to train one LSTM, and sweep what it may do with many."""

from __future__ import annotations

import io
import json
import sys
import tempfile
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep import interrupt, schema
from sweep.errors import SweepError
from sweep.plan.application import (
    ATTRIBUTE,
    Application,
    Checkpoints,
    Cost,
    Decision,
    Epoch,
    OnEpoch,
    Paired,
    Result,
    Scores,
    Tree,
    Turn,
    Turns,
    Winner,
)
from sweep.plan.facets import Facet, Flat
from sweep.plan.rules import CLASSIFYING
from sweep.plan.trial import Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from omegaconf import DictConfig

    from sweep.plan.settings import Settings
    from sweep.train import story
    from sweep.train.array.running import Entry
    from sweep.train.baseline import Baseline
    from sweep.train.loop import Trained


def train(cfg: DictConfig) -> float | None:
    """Train one configuration in this process, print its result, return its objective."""
    from omegaconf import OmegaConf

    interrupt.check()
    container = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(container, dict)
    tree = {str(key): value for key, value in container.items()}
    try:
        schema.parse(tree)
        print(_grid_hint())  # noqa: T201
        warm()
        result = run(tree, _print_epoch)
    except SweepError as error:  # Hydra adds lines of its own to any other exception
        print(f"sweep: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(error.exit_code) from None
    if result.failure is not None:
        print(f"{result.state}: {result.failure.text}; {result.failure.remedy}")  # noqa: T201
    else:
        scores = ", ".join(f"{name} {value:.4g}" for name, value in result.metrics.items())
        print(f"{result.state}: {scores}")  # noqa: T201
    return result.objective


def scores(config: Flat) -> tuple[str, str]:
    """Name the objective, and the same number on the test part.

    A forecast's is its loss, a classifier's the share that it tells wrong: for both less is better.
    """
    loss = config["train.loss"]
    name = "error" if loss in CLASSIFYING else loss
    return f"val_{name}", f"test_{name}"


def data_hash(config: Flat) -> Mapping[str, str]:
    """Read the data and place its windows, those of each fold too; return its name and hash.

    Raises BadInput.
    """
    from sweep.train import data, labelled
    from sweep.train.folds import folds, last_fold

    settings = schema.settings_of(config).data
    last = last_fold(settings)
    hashes = []
    for fold in [None] if last is None else [*folds(settings), last]:
        if settings.kind == "series":
            series = data.load(settings, fold=fold)
            data.windows(series, settings)
            hashes.append(series.hash)
        else:
            hashes.append(labelled.load(settings, fold=fold).hash)
    return {settings.name: hashes[-1]}


def cost(config: Flat) -> Cost:
    """Say what a configuration costs at most: epochs, and floating-point operations.

    Raises BadInput for data that cannot be used.
    """
    from sweep.train.cost import cost as count
    from sweep.train.cost import size_of

    settings = schema.settings_of(config)
    return Cost(settings.train.epochs, count(settings, size=size_of(settings.data)).flop)


def shape(config: Flat) -> Hashable:
    """Name the shapes that trials of one pack share."""
    return schema.pack(config)


def warm() -> None:
    """Import what every trial needs, and keep torch to one thread."""
    import numpy.random  # noqa: F401
    import torch

    import sweep.train.loop
    import sweep.train.score  # noqa: F401

    torch.set_num_threads(1)
    if not torch.accelerator.is_available():
        # The first step of a process takes as long as twenty others. On a machine with an
        # accelerator it would start a thread, after which no fork can train.
        torch.nn.LSTM(16, 16)(torch.zeros(2, 2, 16))[0].sum().backward()


def run(tree: Tree, on_epoch: OnEpoch) -> Result:
    """Train one resolved configuration.

    Raises BadInput for settings or data that cannot be used.
    """
    return run_on(tree, on_epoch, None)


def run_on(tree: Tree, on_epoch: OnEpoch, checkpoints: Checkpoints | None) -> Result:
    """Train one resolved configuration from its last checkpoint, and keep further ones.

    Raises BadInput for settings or data that cannot be used.
    """
    from sweep.train import loop

    tell = partial(_tell, on_epoch)
    settings = schema.parse(tree)
    return _result(loop.train(settings, on_epoch=tell, checkpoints=checkpoints), settings, "torch")


def fuses(config: Flat) -> frozenset[str]:
    """Say on which processors trials are trained at once."""
    from sweep.train.backend import fused_on

    backend, device = (str(config.get(key, schema.DEFAULTS[key])) for key in FUSE_KEYS)
    return fused_on(backend=backend, device=device)


def run_pack(turns: Turns) -> None:
    """Train the trials of a pack at once, those that an array cannot have by themselves."""
    from sweep.train.array.training import Trainer

    Trainer(_Lanes(turns)).run()


class _Lanes:
    """Hands trials on to the array as settings."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.left = turns.left
        self.wanted = turns.wanted
        self.kept = turns.kept

    def next(self) -> Entry | None:
        from sweep.train import device
        from sweep.train.array.running import Entry
        from sweep.train.backend import fused_on

        while (turn := self._turns.next()) is not None:
            try:
                settings = schema.parse(turn.tree)
                own = settings.train
                here = device.resolve(own.device).type
                if here in fused_on(backend=own.backend, device=own.device):
                    return Entry(
                        settings=settings,
                        on_epoch=partial(_tell, turn.on_epoch),
                        checkpoints=turn.checkpoints,
                        ended=partial(_ended, turn, settings),
                    )
                turn.end(run_on(turn.tree, turn.on_epoch, None))
            except Exception as error:  # noqa: BLE001  a trial's failure is data
                turn.end(error)
        return None


def _tell(on_epoch: OnEpoch, epoch: story.Epoch) -> Decision:
    metrics = {"train_loss": epoch.train_loss, "val_loss": epoch.val_loss, "lr": epoch.lr}
    if epoch.objective is not None:
        metrics["val_error"] = epoch.objective
    return on_epoch(Epoch(epoch.number, metrics))


def _ended(turn: Turn, settings: Settings, outcome: Trained | Exception) -> None:
    if isinstance(outcome, Exception):
        turn.end(outcome)
    else:
        turn.end(_result(outcome, settings, "array"))


def _result(trained: Trained, settings: Settings, backend: str) -> Result:
    import numpy as np

    weights: bytes | None = None
    if trained.weights:
        buffer = io.BytesIO()
        np.savez(buffer, **dict(trained.weights))  # type: ignore[arg-type]
        weights = buffer.getvalue()
    numbers = {"backend": backend, "precision": settings.train.precision}
    if trained.lanes is not None:
        numbers["lanes"] = str(trained.lanes)
    return Result(
        state=trained.state,
        objective=trained.objective,
        metrics=trained.metrics,
        history=trained.history,
        failure=trained.failure,
        weights=weights,
        device=trained.device,
        checkpoint=trained.checkpoint,
        numbers=numbers,
    )


def baselines(tree: Tree) -> Scores:
    """Score what needs no network on the same validation and test windows."""
    return {name: dict(baseline.scores) for name, baseline in _measured(json.dumps(tree)).items()}


def baseline_errors(tree: Tree) -> bytes:
    """Give the error of each baseline on each test window, as an npz."""
    import numpy as np

    errors = {
        name: baseline.errors("test").astype(np.float32)
        for name, baseline in _measured(json.dumps(tree)).items()
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **errors)  # type: ignore[arg-type]
    return buffer.getvalue()


def paired_errors(tree: Tree, weights: Sequence[bytes], kept: bytes | None) -> Paired:
    """Put the errors of a winner, by seed, beside those of the baselines, window by window."""
    import numpy as np

    settings = schema.parse(tree)
    with np.load(io.BytesIO(kept or baseline_errors(tree)), allow_pickle=False) as stored:
        others = {name: stored[name].tolist() for name in stored.files}
    own = [_tested(tree, each)[1].astype(np.float32).tolist() for each in weights]
    # Windows of a series lie one step apart: those within a horizon share what they are scored on.
    return Paired(own, others, settings.data.horizon if settings.data.kind == "series" else 1)


def together(tree: Tree, weights: Sequence[bytes]) -> Mapping[str, float]:
    """Score the mean of several seeds on the test part."""
    from sweep.train.ensemble import score

    return score(schema.parse(tree), weights=[_arrays(each) for each in weights])


@lru_cache(maxsize=1)  # scores and errors are asked for one after the other
def _measured(tree: str) -> Mapping[str, Baseline]:
    from sweep.train.baselines import baselines as measure
    from sweep.train.baselines import scoring_of

    settings = schema.parse(json.loads(tree))
    return measure(settings.data, scored_by=scoring_of(settings))


def _tested(tree: Tree, weights: bytes) -> tuple[dict[str, float], NDArray[np.float64]]:
    """Score weights on the test windows: as a whole and, in time order, window by window."""
    seedless = {**tree, "train": {**tree["train"], "seed": 0}}  # it trained them, no more
    return _tested_once(json.dumps(seedless), weights)


@lru_cache(maxsize=64)  # the winner's seeds, first as a whole, then window by window
def _tested_once(tree: str, weights: bytes) -> tuple[dict[str, float], NDArray[np.float64]]:
    from sweep.train.score import scored

    return scored(schema.parse(json.loads(tree)), weights=_arrays(weights), part="test")


def _arrays(weights: bytes) -> dict[str, Any]:
    import numpy as np

    with np.load(io.BytesIO(weights), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def crown(tree: Tree, weights: bytes) -> Winner:
    """Score stored weights on the test windows and make the files that forecasting needs."""
    from sweep.train.examples import example_of
    from sweep.train.predict import predictor

    settings = schema.parse(tree)
    arrays = _arrays(weights)
    trained = predictor(settings, weights=arrays)
    with tempfile.TemporaryDirectory() as folder:
        trained.save(Path(folder))
        files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    return Winner(
        metrics=_tested(tree, weights)[0],
        model=files,
        example=example_of(settings.data),
        outputs=trained.outputs,
    )


def backtest(tree: Tree, origins: int, told: Callable[[int], None]) -> Mapping[str, Any]:
    """Train one configuration anew at later and later origins of the test part.

    Raises BadInput where the data are no series, or too short.
    """
    from dataclasses import asdict

    from sweep.train.backtest import backtest as roll

    settings = schema.parse(tree)
    return asdict(roll(settings, origins=origins, told=lambda origin: told(origin.known)))


def tracking(tree: Tree) -> Mapping[str, Value]:
    """Say where a study wants to be tracked."""
    group: Mapping[str, Value] = tree.get("tracking", {})
    return group


def notes(config: Flat) -> list[str]:
    """Say what of the guide these data cannot test."""
    longest = config.get("data.longest")
    if config.get("data.kind") != "text" or not isinstance(longest, int) or longest >= LANGUAGE[0]:
        return []
    low, high = LANGUAGE
    text = (
        f"No sentence has more than {longest} words, so the guide's {low} to {high} time steps for "
        "language (section 6) cannot be tested here: a longer lookback counts as the same trial."
    )
    return [text]


def profile(tree: Tree) -> Mapping[str, Value]:
    """Describe the inputs, before anything is filled or standardised."""
    from sweep.train.profile import profile as describe

    return describe(schema.parse(tree).data)


def _grid_hint() -> str:
    from hydra.core.hydra_config import HydraConfig

    params = HydraConfig.get().sweeper.get("params") if HydraConfig.initialized() else None
    if not params:
        return "one trial; add -m and values such as optim.lr=0.001,0.01 to run a grid"
    grid = " ".join(f"{key}={value}" for key, value in params.items())
    return f"one trial; add -m to run the grid: {grid}"


def _print_epoch(epoch: Epoch) -> Decision:
    scores = ", ".join(f"{name} {value:.4g}" for name, value in epoch.metrics.items())
    print(f"epoch {epoch.number}: {scores}", flush=True)  # noqa: T201
    return Decision.GO_ON


LANGUAGE = (100, 200)  # the guide, section 6: time steps for language
DATA_KEYS = tuple(key for key in schema.ADAPTERS if key.startswith("data."))
QUESTION = (
    *(f"data.{key}" for key in ("name", "kind", "path", "sha256", "time", "frequency", "target")),
    *(f"data.{key}" for key in ("test_path", "negative_path", "groups_path", "classes")),
    *(f"data.{key}" for key in ("horizon", "split", "folds")),
    "train.loss",
    "train.quantiles",
    "train.device",
    "train.backend",
    "tracking.",
    "gate.",
)
COST_KEYS = (
    *DATA_KEYS,
    "model.hidden_size",
    "model.num_layers",
    "model.bidirectional",
    "model.head",
    "model.segment",
    "model.embedding",
    "model.embedding_size",
    "train.batch_size",
    "train.epochs",
    "train.loss",
    "train.quantiles",
)

FUSE_KEYS = ("train.backend", "train.device")

APPLICATION = Application(
    scores=scores,
    check_value=schema.check_value,
    rules=schema.RULES,
    effect=schema.EFFECT,
    shape=Facet((*schema.PACK_KEYS, *schema.OUTPUT_KEYS), shape),
    cost=Facet(COST_KEYS, cost),
    data=Facet(DATA_KEYS, data_hash),
    paths=("data.path", "data.test_path", "data.negative_path", "data.groups_path"),
    warm=warm,
    run=run,
    run_on=run_on,
    rests=True,
    run_pack=run_pack,
    fuses=Facet(FUSE_KEYS, fuses),
    baselines=baselines,
    crown=crown,
    together=together,
    together_loader="sweep.train.ensemble:load",
    baseline_errors=baseline_errors,
    paired_errors=paired_errors,
    tracking=tracking,
    loader="sweep.train.predict:load",
    question=QUESTION,
    profile=profile,
    notes=notes,
    backtest=backtest,
)
setattr(train, ATTRIBUTE, APPLICATION)


def configs() -> Path:
    """Find the shipped configurations: in the wheel beside this file, in a checkout above it."""
    inside: Any = Path(__file__).parent / "hydra_configs"
    place: Path = inside if inside.is_dir() else Path(__file__).parent.parent / "hydra_configs"
    return place
