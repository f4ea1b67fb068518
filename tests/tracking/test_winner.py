import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tracking_builders import make_study

from sweep.tracking.model import WinnerInfo, log_winner
from sweep.tracking.parent import open_parent
from sweep.tracking.server import Tracker, open_tracker
from sweep.tracking.source import copy_source, source_of

# MLflow's own queries: SQLAlchemy 2.1 deprecates what MLflow 3.17 uses
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

Write = Callable[[str, str], None]

LOADER = """
import json
import numpy as np
from toyshop.parts import wheel

class Mean:
    def __init__(self, factor):
        self.factor = factor
    def predict(self, table):
        return np.full((2, 1), np.mean(table["temp"]) * self.factor * wheel.SPOKES)

def load(folder):
    return Mean(json.loads((folder / "factor.json").read_text()))
"""


@pytest.fixture
def loader(importable: Write) -> str:
    importable("toyshop/__init__.py", "")
    importable("toyshop/shelf.py", LOADER)
    importable("toyshop/parts/__init__.py", "")
    importable("toyshop/parts/wheel.py", "from . import spoke\nSPOKES = spoke.COUNT\n")
    importable("toyshop/parts/spoke.py", "COUNT = 10\n")
    importable("toyshop/unused.py", "raise ImportError('never needed')\n")
    return "toyshop.shelf:load"


def make_winner(loader: str, **changes: Any) -> WinnerInfo:
    given: dict[str, Any] = {
        "name": "t3 h50 lr0.001",
        "files": {"factor.json": b"2"},
        "example": {"temp": [1, 2, 3], "wind": [0.5, 0.5, 0.5]},
        "outputs": ["temp"],
        "params": {"optim.lr": 1e-3},
        "metrics": {"test_mse": 0.1},
    }
    return WinnerInfo(loader=loader, **given | changes)


def keep(tracker: Tracker, winner: WinnerInfo) -> str | None:
    study = make_study()
    parent = open_parent(tracker, study=study)
    assert parent is not None
    return log_winner(tracker, study=study, parent=parent, winner=winner)


def models_of(tracker: Tracker) -> list[Any]:
    experiment = tracker.experiment_id
    return list(tracker.ask(lambda client: client.search_logged_models([experiment])))


@pytest.mark.slow
def test_the_model_predicts_from_raw_rows_where_its_code_is_not_installed(
    tracker: Tracker, loader: str, tmp_path: Path
) -> None:
    address = keep(tracker, make_winner(loader))

    program = (
        "import sys, mlflow, pandas as pd\n"
        f"model = mlflow.pyfunc.load_model({address!r})\n"
        "found = model.predict(pd.DataFrame({'temp': [4.0, 6.0], 'wind': [0.0, 0.0]}))\n"
        "print(found.to_dict('list'), model.metadata.get_input_schema().input_names())\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"MLFLOW_TRACKING_URI": tracker.uri, "PYTHONPATH": ""},
    )
    assert answer.stdout.strip() == "{'temp': [100.0, 100.0]} ['temp', 'wind']", answer.stderr


def test_the_model_stands_with_its_study(tracker: Tracker, loader: str) -> None:
    address = keep(tracker, make_winner(loader))

    (model,) = models_of(tracker)
    assert address == f"models:/{model.model_id}"
    assert model.name == "t3_h50_lr0_001"
    assert model.status == "READY"
    assert model.params == {"optim.lr": "0.001"}
    assert [(metric.key, metric.value) for metric in model.metrics] == [("test_mse", 0.1)]
    run = tracker.ask(lambda client: client.get_run(model.source_run_id))
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]


def test_the_same_winner_is_kept_once(tracker: Tracker, loader: str) -> None:
    first = keep(tracker, make_winner(loader))

    assert keep(tracker, make_winner(loader)) == first
    assert len(models_of(tracker)) == 1


def test_another_winner_is_another_model(tracker: Tracker, loader: str) -> None:
    first = keep(tracker, make_winner(loader))

    assert keep(tracker, make_winner(loader, files={"factor.json": b"3"})) != first


def test_a_named_winner_is_registered_once(tracker: Tracker, loader: str) -> None:
    for _ in range(2):
        keep(tracker, make_winner(loader, register="jfk"))
    keep(tracker, make_winner(loader, register="jfk", files={"factor.json": b"3"}))

    versions = tracker.ask(lambda client: client.search_model_versions("name='jfk'"))
    assert sorted(version.version for version in versions) == [1, 2]


def test_without_mlflow_no_model_is_kept_and_nothing_raised(loader: str) -> None:
    tracker = open_tracker("http://127.0.0.1:1", experiment="forecast")

    found = log_winner(tracker, study=make_study(), parent="x", winner=make_winner(loader))

    assert found is None


def test_a_file_store_that_takes_nothing_leaves_no_model_half_kept(
    tracker: Tracker, loader: str, tmp_path: Path
) -> None:
    (tmp_path / "mlruns").write_text("a file where MLflow wants a folder")

    assert keep(tracker, make_winner(loader)) is None
    assert [model.status for model in models_of(tracker)] == ["FAILED"]


def test_source_is_followed_through_imports_and_no_further(loader: str, tmp_path: Path) -> None:
    source = source_of("toyshop.shelf")

    assert list(source.files) == [
        "toyshop",
        "toyshop.parts",
        "toyshop.parts.spoke",
        "toyshop.parts.wheel",
        "toyshop.shelf",
    ]
    assert [name.partition("==")[0] for name in source.packages] == ["numpy"]
    (tmp_path / "copy").mkdir()
    (top,) = copy_source(source, folder=tmp_path / "copy")
    assert top.name == "toyshop"
    assert (top / "parts" / "spoke.py").is_file()


def test_the_trainers_own_loader_carries_no_server_code() -> None:
    files = source_of("sweep.train.predict").files

    rooms = {name.split(".")[1] for name in files if "." in name}
    assert "train" in rooms
    assert rooms <= {"train", "plan", "errors", "datasets"}
