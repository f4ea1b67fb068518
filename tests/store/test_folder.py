import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conformance import StoreConformance

from sweep.errors import BadInput, StoreLost
from sweep.store import Store, open_store
from sweep.store.folder import FolderStore

NOBODY = 65534


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Be a user whom permissions bind: root may write everywhere."""
    if os.getuid() != 0:
        yield
        return
    for place in (folder, *folder.parents):
        if place.stat().st_uid == 0 and place.stat().st_mode & 0o077 == 0:
            place.chmod(0o711)  # pytest keeps its folders to their owner
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


class TestFolderStore(StoreConformance):
    @pytest.fixture
    def store(self, folder: Path) -> Store:
        return FolderStore(folder)


def test_nothing_is_made_before_the_first_write(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "new" / "store"))

    assert store.sizes("") == {}
    assert store.folders() == []
    assert list(tmp_path.iterdir()) == []


def test_a_path_and_its_address_name_the_same_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert open_store("here").url == f"file://{tmp_path}/here"
    assert open_store(f"file://{tmp_path}/here").url == open_store("here").url


def test_half_written_files_are_no_objects(tmp_path: Path) -> None:
    (tmp_path / ".study.json.4711.abcd").write_bytes(b"{")

    assert FolderStore(tmp_path).sizes("") == {}


@pytest.mark.parametrize("address", ["s4://bucket", "ftp://host/path", "http://host", "://x"])
def test_an_unknown_scheme_is_refused(address: str) -> None:
    with pytest.raises(BadInput, match=r"unknown scheme .*file://PATH or s3://BUCKET"):
        open_store(address)


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(BadInput, match="is not a folder"):
        open_store(str(tmp_path / "file" / "store"))


@pytest.mark.parametrize("mode", [0o555, 0o444, 0o000])
def test_a_folder_that_may_not_be_written_is_refused(folder: Path, mode: int) -> None:
    folder.chmod(mode)

    for place in (folder, folder / "new", folder / "new" / "store"):
        with as_nobody(folder.parent), pytest.raises(BadInput, match="name another place"):
            open_store(str(place))


WRITES: dict[str, Callable[[Store], object]] = {
    "write": lambda store: store.write("new/a", b"x"),
    "create": lambda store: store.create("new/a", b"x"),
    "append": lambda store: store.append("new/a", b"x"),
    "append to what is there": lambda store: store.append("log", b"x"),
    "delete": lambda store: store.delete("log"),
    "hold": lambda store: store.hold("lease.json", "us").__enter__(),
}
writes = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)


@writes
def test_a_folder_that_is_closed_later_is_a_lost_store(
    folder: Path, write: Callable[[Store], object]
) -> None:
    store = FolderStore(folder)
    store.write("log", b"kept")
    (folder / "log").chmod(0o444)
    folder.chmod(0o555)

    with as_nobody(folder.parent), pytest.raises(StoreLost, match=r"cannot be written .*resume"):
        write(store)
    assert store.sizes("") == {"log": 4}


@writes
def test_a_study_whose_folder_is_gone_is_a_lost_store_and_stays_gone(
    folder: Path, write: Callable[[Store], object]
) -> None:
    study = FolderStore(folder).at("study")
    assert FolderStore(folder).create("study/study.json", b"{}")
    shutil.rmtree(folder / "study")

    with pytest.raises(StoreLost, match=r"cannot be written .*resume"):
        write(study)
    assert not (folder / "study").exists()


def test_a_folder_is_made_by_the_first_object_that_is_created(folder: Path) -> None:
    store = FolderStore(folder / "new" / "store")

    assert store.create("study.json", b"{}")

    assert store.read("study.json") == b"{}"


def test_what_may_not_be_read_is_a_lost_store(folder: Path) -> None:
    store = FolderStore(folder)
    store.write("packs/log", b"kept")
    (folder / "packs" / "log").chmod(0o000)
    (folder / "packs").chmod(0o000)

    for look in (lambda: store.read("packs/log"), lambda: store.sizes("")):
        with as_nobody(folder.parent), pytest.raises(StoreLost, match="cannot be read"):
            look()
