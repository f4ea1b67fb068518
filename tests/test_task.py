import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sweep.app import APPLICATION, train
from sweep.errors import BadInput
from sweep.task import application_of, load_task, name_task

SCRIPT = """
import sys
from pathlib import Path
from sweep.task import name_task

class Group:
    @staticmethod
    def task(cfg): ...

def task(cfg): ...

def make():
    def inner(cfg): ...
    return inner

for found in (task, Group.task, make(), lambda cfg: None):
    print(name_task(found, root=Path(sys.argv[1])))
"""
LIBRARY = """
import functools
import hydra

def twice(function):
    @functools.wraps(function)
    def decorated(cfg):
        return 2 * function(cfg)
    return decorated

@hydra.main(version_base=None)
@twice
def task(cfg):
    return 21

number = 3
"""


@pytest.fixture(autouse=True)
def _own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))  # loading a file adds its folder


def names(*command: str, cwd: Path) -> list[str]:
    answer = subprocess.run(
        [sys.executable, *command], cwd=cwd, capture_output=True, text=True, check=True
    )
    return answer.stdout.split()


def test_a_task_of_a_module_is_named_by_it() -> None:
    assert name_task(train, root=Path.cwd()) == "sweep.app:train"


def test_a_task_of_a_script_is_named_by_its_file_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "script.py").write_text(SCRIPT)

    here = names("script.py", str(tmp_path), cwd=tmp_path / "code")
    elsewhere = names("script.py", str(tmp_path / "other"), cwd=tmp_path / "code")

    assert here == ["code/script.py:task", "code/script.py:Group.task", "None", "None"]
    assert elsewhere[0] == f"{tmp_path}/code/script.py:task"


def test_a_task_of_a_module_that_is_run_is_named_by_the_module(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "script.py").write_text(SCRIPT)

    assert names("-m", "package.script", ".", cwd=tmp_path)[0] == "package.script:task"


def test_a_task_typed_in_by_hand_has_no_name(tmp_path: Path) -> None:
    assert names("-c", SCRIPT, ".", cwd=tmp_path)[0] == "None"


def test_a_task_of_a_module_is_found_by_its_name() -> None:
    assert load_task("sweep.app:train", root=Path("/nowhere")) is train


def test_a_task_of_a_file_is_found_and_only_hydra_s_decorator_is_off(tmp_path: Path) -> None:
    (tmp_path / "found_in_a_file.py").write_text(LIBRARY)

    task: Any = load_task("found_in_a_file.py:task", root=tmp_path)

    assert task(None) == 42


def test_a_script_is_loaded_without_running_its_entry(tmp_path: Path) -> None:
    (tmp_path / "entry.py").write_text("def task(cfg): ...\nif __name__ == '__main__': 1 / 0\n")

    assert callable(load_task("entry.py:task", root=tmp_path))


def test_a_module_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadInput, match="no_such_module cannot be imported"):
        load_task("no_such_module:task", root=Path())


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"absent\.py does not exist"):
        load_task("absent.py:task", root=tmp_path)


@pytest.mark.parametrize("name", ["gone", "number", "task.gone"])
def test_a_function_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "without_it.py").write_text(LIBRARY)

    with pytest.raises(BadInput, match=f"has no function '{name}'; was it renamed"):
        load_task(f"without_it.py:{name}", root=tmp_path)


def test_a_task_may_tell_what_sweep_may_do_with_it() -> None:
    assert application_of(train) is APPLICATION
    assert application_of(lambda cfg: None) is None
