"""What is published: the sdist builds the wheel, and the wheel runs far from any checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Published:
    """A wheel that was built from the sdist."""

    sdist: Path
    wheel: Path


def run(*command: object, cwd: Path) -> str:
    ours = ("PYTHON", "HYDRA_", "MLFLOW_", "SWEEP_")
    env = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def build(kind: str, *, source: Path, into: Path) -> Path:
    run(
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "--target",
        kind,
        "--directory",
        into,
        cwd=source,
    )
    (built,) = into.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return built


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    folder = tmp_path_factory.mktemp("published")
    sdist = build("sdist", source=ROOT, into=folder / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "source", filter="data")
    (source,) = (folder / "source").iterdir()
    return Published(sdist, build("wheel", source=source, into=folder / "wheel"))


@pytest.fixture(scope="module")
def python(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the wheel, and borrows what it depends on."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--isolated")
    run(*pip, "install", "--no-index", "--no-deps", published.wheel, cwd=folder)
    # Paths that a .pth adds are searched after the wheel, and their own .pth files (the editable
    # install of this checkout) are not read.
    site = folder / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "borrowed.pth").write_text("\n".join(sorted(borrowed)) + "\n")
    return python


def test_the_wheel_holds_code_configurations_data_and_the_plugin(published: Published) -> None:
    names = set(zipfile.ZipFile(published.wheel).namelist())

    configs = {f"sweep/{path.relative_to(ROOT)}" for path in ROOT.glob("hydra_configs/**/*.yaml")}
    code = {str(path.relative_to(ROOT)) for path in ROOT.glob("sweep/**/*.py")}
    code = {path for path in code if not path.startswith("sweep/plugins/")}
    assert configs
    assert configs | code <= names
    assert {"sweep/datasets/jfk.csv", "sweep/datasets/LICENCE-CC0.txt"} <= names
    assert "hydra_plugins/sweep_launcher/__init__.py" in names
    assert not [name for name in names if name.startswith(("sweep/plugins/", "tests/"))]
    assert "hydra_plugins/__init__.py" not in names  # would hide the plugins of others


def test_the_sdist_holds_what_the_tests_need_and_nothing_that_was_made_here(
    published: Published,
) -> None:
    with tarfile.open(published.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"pyproject.toml", "constraints.txt", "Makefile", "LICENSE", "README.md"} <= names
    assert {"tests/test_wheel.py", "docs/settings.md", "hydra_configs/config.yaml"} <= names
    made = {"mlflow.db", "sweep-store", "__pycache__", ".venv", ".mypy_cache", "multirun"}
    assert not [name for name in names if made.intersection(name.split("/"))]


def test_code_configurations_and_plugin_come_from_the_wheel(python: Path, tmp_path: Path) -> None:
    code = (
        "import hydra_plugins.sweep_launcher as plugin, sweep, sweep.app;"
        "print(sweep.__file__, plugin.__file__, sweep.app.configs(), sep='\\n')"
    )

    places = run(python, "-c", code, cwd=tmp_path).splitlines()

    assert len(places) == 3
    assert all(Path(place).is_relative_to(python.parent.parent) for place in places)


@pytest.mark.parametrize("door", [["-m", "sweep"], []], ids=["module", "script"])
def test_a_command_of_the_wheel_plans_the_main_job(
    door: list[str], python: Path, tmp_path: Path
) -> None:
    command = [python, *door] if door else [python.parent / "sweep"]

    said = run(*command, "plan", "+experiment=forecast", cwd=tmp_path)

    assert "18" in said
    assert list(tmp_path.iterdir()) == []


def test_the_wheel_runs_the_main_job_outside_the_checkout(python: Path, tmp_path: Path) -> None:
    small = ["model.hidden_size=4", "model.num_layers=1", "optim.lr=0.01", "train.epochs=1"]

    said = run(python, "-m", "sweep", "+experiment=forecast", *small, "-m", cwd=tmp_path)

    assert "1 trial: 1 completed" in said
    assert "ridge" in said
    assert (tmp_path / "mlflow.db").is_file()
    (study,) = (tmp_path / "sweep-store").iterdir()
    assert (study / "rounds" / "0001.json").is_file()
