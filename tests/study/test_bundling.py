"""Which code of a task is shipped: what git tracks of its package, as it lies there now."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from code_builders import git, make_repository, write

from sweep.errors import BadInput
from sweep.plan.bundle import read_bundle
from sweep.study.bundling import Code, gather

FILES = {
    "pack_age/__init__.py": "",
    "pack_age/train.py": "def task(cfg): return 1\n",
    "pack_age/conf/config.yaml": "x: 1\n",
    "other/secret.py": "",
    "app.py": "def task(cfg): return 2\n",
}


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Path]:
    made = make_repository(tmp_path / "repository", FILES)
    sys.path.insert(0, str(made))
    yield made
    sys.path.remove(str(made))
    for name in [name for name in sys.modules if name.partition(".")[0] == "pack_age"]:
        del sys.modules[name]


def names(code: Code) -> list[str]:
    files = read_bundle(code.bundle.data, sha256=code.bundle.sha256, where="b")
    return [file.name for file in files]


def test_a_package_is_shipped_whole_and_nothing_beside_it(repository: Path) -> None:
    code = gather("pack_age.train:task", root=Path("/"))

    assert names(code) == [
        "pack_age/__init__.py",
        "pack_age/conf/config.yaml",
        "pack_age/train.py",
    ]
    assert (code.task, code.files, code.untracked) == ("pack_age.train:task", 3, ())


def test_a_script_takes_the_files_of_its_folder_along(repository: Path) -> None:
    code = gather("repository/app.py:task", root=repository.parent)

    assert "app.py" in names(code)
    assert "other/secret.py" in names(code)
    assert code.task == "app.py:task"


def test_a_single_module_takes_the_files_of_its_folder_along(repository: Path) -> None:
    assert names(gather("app:task", root=Path("/"))) == sorted(FILES)


def test_an_edit_that_is_not_committed_is_shipped(repository: Path) -> None:
    before = gather("pack_age.train:task", root=repository)
    write(repository, {"pack_age/train.py": "def task(cfg): return 3\n"})

    after = gather("pack_age.train:task", root=repository)

    assert after.bundle.sha256 != before.bundle.sha256
    files = read_bundle(after.bundle.data, sha256=after.bundle.sha256, where="b")
    assert b"return 3" in next(f.data for f in files if f.name == "pack_age/train.py")


def test_the_same_code_elsewhere_is_the_same_bundle(repository: Path, tmp_path: Path) -> None:
    first = gather("app.py:task", root=repository)

    second = gather("app.py:task", root=make_repository(tmp_path / "copy", FILES))

    assert first.bundle.sha256 == second.bundle.sha256


def test_what_git_ignores_stays_and_a_new_module_is_named(repository: Path) -> None:
    write(repository, {".gitignore": "*.secret\n", "pack_age/key.secret": "", "pack_age/n.py": ""})

    code = gather("pack_age.train:task", root=repository)

    assert "pack_age/key.secret" not in names(code)
    assert "pack_age/n.py" not in names(code)
    assert code.untracked == ("pack_age/n.py",)


def test_a_file_that_was_deleted_and_not_committed_is_left_out(repository: Path) -> None:
    (repository / "pack_age/conf/config.yaml").unlink()

    assert "pack_age/conf/config.yaml" not in names(gather("pack_age:task", root=repository))


def test_a_link_out_of_the_repository_is_refused(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter2")
    (repository / "pack_age/key").symlink_to(tmp_path / "key")
    git(repository, "add", ".")

    with pytest.raises(BadInput, match="link to a file outside"):
        gather("pack_age:task", root=repository)


def test_without_git_a_line_says_what_to_do(tmp_path: Path) -> None:
    write(tmp_path, FILES)

    with pytest.raises(BadInput, match=r"git tracks in .*not a git repository.*into the image"):
        gather("app.py:task", root=tmp_path)


def test_code_that_git_does_not_know_is_refused(repository: Path) -> None:
    write(repository, {".gitignore": "venv\n", "venv/lib/app.py": ""})

    with pytest.raises(BadInput, match=r"git tracks no file in .*venv/lib"):
        gather("venv/lib/app.py:task", root=repository)


def test_code_that_is_too_large_is_refused_before_it_is_read(repository: Path) -> None:
    with (repository / "pack_age/weights.bin").open("wb") as file:
        file.truncate(1 << 36)  # 64 GiB of nothing
    git(repository, "update-index", "--add", "--cacheinfo", f"100644,{EMPTY},pack_age/weights.bin")

    with pytest.raises(BadInput, match=r"pack_age/weights\.bin \(65,536"):
        gather("pack_age:task", root=repository)


EMPTY = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"  # the hash that git gives to nothing


def test_a_module_that_is_no_source_is_refused() -> None:
    with pytest.raises(BadInput, match="math of task math:sqrt is no Python source"):
        gather("math:sqrt", root=Path("/"))
