"""hydra-optuna-sweeper drives the launcher in batches, in an environment of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from environments import NotInstallable, extended

APPLICATIONS = Path(__file__).parents[1] / "applications"
# The plugin's newest release wants optuna below 3, which wants SQLAlchemy below 2.
REQUIREMENTS = ("hydra-optuna-sweeper==1.3.0", "optuna==2.10.1", "sqlalchemy<2")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def python() -> Path:
    try:
        return extended(REQUIREMENTS)
    except NotInstallable as error:
        pytest.skip(f"hydra-optuna-sweeper cannot be installed here: {error}")


def optimise(python: Path, folder: Path, script: str, *words: str) -> dict[str, Any]:
    done = subprocess.run(
        [python, APPLICATIONS / script, "-m", "hydra.launcher.store=store", *words],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    [found] = folder.rglob("optimization_results.yaml")
    results: dict[str, Any] = yaml.safe_load(found.read_text())
    return results


def records(study: Path) -> dict[int, dict[str, Any]]:
    lines = [
        json.loads(line)
        for file in study.glob("packs/*/results-*.jsonl")
        for line in file.read_text().splitlines()
    ]
    return {line["trial"]: line for line in lines if line["state"] != "RUNNING"}


@pytest.mark.parametrize(("direction", "best"), [("maximize", max), ("minimize", min)])
def test_batches_are_rounds_of_one_study(
    python: Path, tmp_path: Path, direction: str, best: Any
) -> None:
    upwards = str(direction == "maximize").lower()
    results = optimise(
        python, tmp_path, "hill.py", f"hydra.sweeper.direction={direction}", f"upwards={upwards}"
    )

    [study] = (path for path in (tmp_path / "store").iterdir() if path.is_dir())
    rounds = sorted((study / "rounds").iterdir())
    done = records(study)
    sign = 1 if direction == "maximize" else -1
    assert [path.name for path in rounds] == ["0001.json", "0002.json", "0003.json"]
    assert sorted(done) == list(range(12))
    assert results["best_value"] == best(record["objective"] for record in done.values())
    x, rough = results["best_params"]["x"], results["best_params"]["kind"] == "rough"
    assert results["best_value"] == pytest.approx(7 - sign * ((x - 2) ** 2 + rough))
    assert (7 - results["best_value"]) * sign < 1  # it learns: chance alone is worse
    assert json.loads((study / "study.json").read_text())["direction"] == direction


@pytest.mark.parametrize(
    ("direction", "worst"), [("maximize", float("-inf")), ("minimize", float("inf"))]
)
def test_a_trial_that_diverged_is_the_worst_there_can_be(
    python: Path, tmp_path: Path, direction: str, worst: float
) -> None:
    words = ("hydra/sweeper=optuna", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=2")
    direct = f"hydra.sweeper.direction={direction}"

    results = optimise(python, tmp_path, "frail.py", "x=1,2", "fault=diverge", direct, *words)

    [study] = (path for path in (tmp_path / "store").iterdir() if path.is_dir())
    assert {record["state"] for record in records(study).values()} == {"INFEASIBLE"}
    assert results["best_value"] == worst
