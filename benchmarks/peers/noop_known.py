"""An application that does nothing either, and tells this launcher what it may do with trials."""

from __future__ import annotations

import sys

import hydra
from omegaconf import DictConfig

from sweep.plan.application import (
    ATTRIBUTE,
    Application,
    Cost,
    OnEpoch,
    Result,
    Scores,
    Tree,
    Winner,
)
from sweep.plan.facets import Facet
from sweep.plan.trial import State

sys.modules["mlflow"] = None  # type: ignore[assignment]  # what writing to MLflow costs is no part


def task(cfg: DictConfig) -> float:
    """Return what was asked for."""
    return float(cfg.x)


def run(tree: Tree, _: OnEpoch) -> Result:
    """Do the same from a resolved configuration."""
    return Result(state=State.COMPLETED, objective=float(tree["x"]), weights=b"0")


def baselines(_: Tree) -> Scores:
    """Score nothing."""
    return {}


def crown(_: Tree, weights: bytes) -> Winner:
    """Give the winner the score that it has."""
    return Winner(metrics={"test": float(weights)}, model={}, example={}, outputs=[])


setattr(
    task,
    ATTRIBUTE,
    Application(
        scores=lambda _: ("objective", "test"),
        check_value=lambda *_: None,
        rules=[],
        effect=Facet((), lambda _: ()),
        shape=Facet((), lambda _: ()),
        cost=Facet((), lambda _: Cost(1, 1.0)),
        data=Facet((), lambda _: {"none": "0"}),
        warm=lambda: None,
        run=run,
        baselines=baselines,
        crown=crown,
        tracking=lambda _: {},
        loader="",
    ),
)

if __name__ == "__main__":
    hydra.main(version_base="1.3", config_path="noop_configs", config_name="config")(task)()
