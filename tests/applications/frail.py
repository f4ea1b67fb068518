"""A task in pure Python whose trials can be told to die: a study of it takes a second or two.

`x` and `train.seed` decide its numbers; `fault` decides what goes wrong in its second epoch.
Without MLFLOW_TRACKING_URI it behaves as where MLflow is not installed, unless FRAIL_TRACKED says
that a release names the server.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if not {"MLFLOW_TRACKING_URI", "FRAIL_TRACKED"} & set(os.environ):
    sys.modules["mlflow"] = None  # type: ignore[assignment]

from sweep.errors import BadInput
from sweep.plan.application import (
    ATTRIBUTE,
    Application,
    Cost,
    Decision,
    Epoch,
    OnEpoch,
    Result,
    Scores,
    Tree,
    Winner,
)
from sweep.plan.facets import Facet, Flat
from sweep.plan.trial import Failure, State, Value

if TYPE_CHECKING:
    from omegaconf import DictConfig

FAULTS = ("none", "error", "exit", "diverge", "kill_once", "kill", "killed_by_hand")


def frail(cfg: DictConfig) -> float | None:
    from omegaconf import OmegaConf

    tree = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(tree, dict)
    return run({str(key): value for key, value in tree.items()}, lambda _: Decision.GO_ON).objective


def run(tree: Tree, on_epoch: OnEpoch) -> Result:
    draws = random.Random(f"{tree['train']['seed']} {tree['x']}")
    if tree.get("path"):
        Path(tree["path"]).read_bytes()
    history: dict[str, list[float | None]] = {"loss": [], "noise": []}
    for number in range(1, tree["epochs"] + 1):
        time.sleep(tree["epoch_s"])
        if number == 2 and tree["fault"] == "diverge":
            return Result(state=State.INFEASIBLE, failure=Failure("Diverged", "loss is nan"))
        if number == 2:
            go_wrong(tree["fault"], tree["x"])
        noise = draws.random()
        loss = (tree["x"] - 3) ** 2 + noise / number
        history["loss"].append(loss)
        history["noise"].append(noise)
        told = on_epoch(Epoch(number, {"loss": loss, "noise": noise}))
        if told is Decision.PAUSE and number < tree["epochs"]:
            return Result(state=State.PAUSED, objective=loss, history=history)
    return Result(
        state=State.COMPLETED,
        objective=history["loss"][-1],
        metrics={"epochs": float(tree["epochs"])},
        history=history,
        weights=repr(tree["x"]).encode(),
    )


def go_wrong(fault: str, x: float) -> None:
    """Fail as told; `kill_once` leaves a mark in the working directory."""
    if fault == "error":
        raise ZeroDivisionError(f"x={x} is no good")
    if fault == "exit":
        sys.exit(7)
    if fault == "kill" or (fault == "kill_once" and first_time(Path(f"killed-{x}"))):
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "killed_by_hand" and first_time(Path("waiting")):
        time.sleep(60)


def first_time(mark: Path) -> bool:
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def check_value(key: str, value: Value) -> None:
    if key == "fault" and value not in FAULTS:
        raise BadInput(f"fault={value}: no such choice; there are {', '.join(FAULTS)}")


def scores(config: Flat) -> tuple[str, str]:
    return "loss", "test_loss"


def effect(config: Flat) -> Hashable:
    return bool(config["epoch_s"] == 0)  # how long it takes is no other trial


def cost(config: Flat) -> Cost:
    return Cost(config["epochs"], float(config["epochs"]))


def data(config: Flat) -> Mapping[str, str]:
    return {"none": "0"}


def baselines(tree: Tree) -> Scores:
    if not tree["baselines_work"]:
        raise ZeroDivisionError("no baseline")
    if tree["baselines_killed"] and not Path("baselines-were-killed").exists():
        Path("baselines-were-killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(tree["baselines_s"])
    return {"nine": {"loss": 9.0, "test_loss": 9.0}}


def crown(tree: Tree, weights: bytes) -> Winner:
    Path("crowning").write_text(str(os.getpid()))
    time.sleep(tree["crown_s"])
    return Winner(
        metrics={"test_loss": float(weights)},
        model={"weights": weights},
        example={"x": [float(weights)]},
        outputs=["y"],
    )


class Opened:
    def predict(self, table: Any) -> list[list[float]]:
        return [[9.0]] * len(table)


def load(folder: Path) -> Opened:
    if Path("cannot-be-opened").exists():
        raise ZeroDivisionError("no model here")
    return Opened()


def tracking(tree: Tree) -> Mapping[str, Value]:
    return dict(tree.get("tracking", {}))


def nothing() -> None:
    pass


setattr(
    frail,
    ATTRIBUTE,
    Application(
        scores=scores,
        check_value=check_value,
        rules=[],
        effect=Facet(("epoch_s",), effect),
        shape=Facet(("epochs",), lambda config: int(config["epochs"])),
        cost=Facet(("epochs",), cost),
        data=Facet((), data),
        paths=("path",),
        warm=nothing,
        run=run,
        baselines=baselines,
        crown=crown,
        tracking=tracking,
        loader="frail:load",
        rests=True,
    ),
)

if __name__ == "__main__":
    import hydra

    hydra.main(version_base="1.3", config_path="frail_configs", config_name="config")(frail)()
