"""MLflow away costs a study nothing; a later resume writes what is missing."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import Place, finish, wait_until
from running_server import RunningServer
from testbed.bed import Bed

from sweep.tracking.server import open_tracker

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "mlflow.db"
    assert open_tracker(f"sqlite:///{path}", experiment="any").labels() is not None
    return path


@pytest.fixture
def server(
    tables: Path, bed: Bed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("server")
    shutil.copyfile(tables, folder / "mlflow.db")
    running = RunningServer(folder, bed=bed)
    yield running
    running.stop()


@pytest.fixture
def tracked(tmp_path: Path, server: RunningServer) -> Place:
    return Place(tmp_path, {"MLFLOW_TRACKING_URI": server.uri})


def shown(folder: Path) -> dict[str, list[str]]:
    """Name the runs that MLflow shows, by their trials; the parent's is ''."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    found: dict[str, list[str]] = {}
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id]):
            trial = run.data.tags.get("sweep.trial", "")
            found.setdefault(trial, []).append(run.info.status)
    return found


EVERYTHING = {"": ["FINISHED"], **{str(trial): ["FINISHED"] for trial in range(6)}}


def test_a_server_that_stops_in_the_middle_costs_no_trial_and_resume_fills_it(
    tracked: Place, server: RunningServer
) -> None:
    server.start()
    client = tracked.start("x=range(0,6)", "epoch_s=0.3", "hydra.launcher.parallelism=1")
    wait_until(lambda: len(tracked.ended()) >= 2)

    server.stop()

    done = finish(client)
    assert done.code == 0, done.err
    assert tracked.ended() == list(range(6))
    assert "did not answer; nothing is lost: `python -m sweep resume s`" in done.out
    server.start()
    resumed = tracked.verb("resume", "s")
    assert resumed.code == 0, resumed.err
    assert "every trial has a record; nothing to train" in resumed.out
    assert shown(server.folder) == EVERYTHING


def test_a_server_that_was_never_there_costs_no_trial_and_resume_fills_it(
    tracked: Place, server: RunningServer
) -> None:
    done = tracked.multirun("x=range(0,6)")

    assert done.code == 0, done.err
    assert tracked.ended() == list(range(6))
    assert "did not answer; nothing is lost: `python -m sweep resume s`" in done.out
    server.start()
    assert tracked.verb("resume", "s").code == 0
    assert shown(server.folder) == EVERYTHING


def test_a_model_that_cannot_be_opened_costs_the_model_alone(
    tracked: Place, server: RunningServer
) -> None:
    server.start()
    (tracked.folder / "cannot-be-opened").touch()

    done = tracked.multirun("x=range(0,6)")

    assert done.code == 0, done.err
    assert "Best: x=3" in done.out
    assert "is not kept as a model: ZeroDivisionError: no model here" in done.err
    assert shown(server.folder) == EVERYTHING


def test_an_interrupted_study_is_shown_as_killed_until_it_is_resumed(
    tmp_path: Path, tables: Path
) -> None:
    shutil.copyfile(tables, tmp_path / "mlflow.db")
    place = Place(tmp_path, {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"})
    client = place.start("x=range(0,6)", "epoch_s=0.3")
    wait_until(lambda: len(place.ended()) >= 2)

    os.killpg(client.pid, signal.SIGINT)

    assert finish(client).code == 130
    assert shown(tmp_path)[""] == ["KILLED"]
    assert place.verb("resume", "s").code == 0
    assert shown(tmp_path) == EVERYTHING
