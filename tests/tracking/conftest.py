from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_server import RunningServer
from testbed.bed import Bed

from sweep.tracking.server import Tracker, open_tracker


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with tables and nothing in them: making them takes seconds."""
    path = tmp_path_factory.mktemp("tables") / "mlflow.db"
    assert open_tracker(f"sqlite:///{path}", experiment="any").labels() is not None
    return path


@pytest.fixture
def tracker(tables: Path, tmp_path: Path) -> Tracker:
    shutil.copyfile(tables, tmp_path / "mlflow.db")
    return open_tracker(f"sqlite:///{tmp_path}/mlflow.db", experiment="forecast")


@pytest.fixture(scope="module")
def server(
    tables: Path, bed: Bed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("server")
    shutil.copyfile(tables, folder / "mlflow.db")
    running = RunningServer(folder, bed=bed)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def importable(tmp_path: Path) -> Iterator[Callable[[str, str], None]]:
    """Make packages that can be imported until the test ends."""
    root = tmp_path / "importable"
    root.mkdir()
    sys.path.insert(0, str(root))
    known = set(sys.modules)

    def write(path: str, text: str) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)

    yield write
    sys.path.remove(str(root))
    for name in set(sys.modules) - known:
        if str(root) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
