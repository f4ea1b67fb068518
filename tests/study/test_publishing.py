"""MLflow rebuilt from the store alone, by the verb."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FRAIL = Path(__file__).parents[1] / "applications" / "frail.py"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]


def run(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    tracked = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{place}/mlflow.db"}
    return subprocess.run(
        [sys.executable, *words],
        cwd=place,
        env=tracked,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def shown(place: Path) -> dict[str, list[tuple[str, str]]]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{place}/mlflow.db")
    found: dict[str, list[tuple[str, str]]] = {}
    for experiment in client.search_experiments():
        for run_ in client.search_runs([experiment.experiment_id]):
            role = run_.data.tags.get("sweep.role", "")
            found.setdefault(role, []).append(
                (run_.data.tags.get("sweep.trial", ""), run_.info.status)
            )
    return {role: sorted(runs) for role, runs in found.items()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("published")
    study = ["-m", "hydra.launcher.study=s", "x=1,2,4", "fault=none,error"]
    done = run(place, str(FRAIL), *study)
    assert done.returncode == 1, done.stdout + done.stderr
    return place


def test_every_trial_is_a_run_and_none_is_left_running(place: Path) -> None:
    trials = [(str(n), "FAILED" if n % 2 else "FINISHED") for n in range(6)]

    assert shown(place) == {"study": [("", "FAILED")], "trial": trials}


def test_publish_fills_an_empty_mlflow_and_doubles_nothing(place: Path) -> None:
    before = shown(place)
    (place / "mlflow.db").unlink()

    first = run(place, "-m", "sweep", "publish", "s")
    once = shown(place)
    second = run(place, "-m", "sweep", "publish", "s")

    assert first.returncode == 0, first.stderr
    assert second.returncode == 0
    assert once == before == shown(place)


def test_the_parent_run_keeps_the_report_in_every_format(place: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{place}/mlflow.db")
    [experiment] = [e for e in client.search_experiments() if e.name != "Default"]
    [parent] = client.search_runs([experiment.experiment_id], "tags.`sweep.role` = 'study'")

    files = {item.path for item in client.list_artifacts(parent.info.run_id)}
    page = Path(client.download_artifacts(parent.info.run_id, "report.html")).read_text()

    assert files >= {"report.html", "report.md", "report.json", "leaderboard.csv"}
    assert page == (place / "sweep-store" / "s" / "report" / "report.html").read_text()
