"""What is brought to the workers of another machine, and how they find it there."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from code_builders import make_repository, write
from rich.console import Console

from sweep.app import APPLICATION
from sweep.errors import BadInput
from sweep.plan import shared
from sweep.plan.application import Application
from sweep.plan.facets import Flat
from sweep.plan.trial import Trial
from sweep.store.folder import FolderStore
from sweep.study import uploading
from sweep.study.fetching import Files, reading
from sweep.study.shipping import Shipment, data_files, pack_up, send

PART = shared.DATA_PART_BYTES


class FarStore(FolderStore):
    """A folder that counts as another machine's, and its writes."""

    writes = 0

    @property
    def url(self) -> str:
        return "far://store"

    def write(self, key: str, data: bytes) -> None:
        super().write(key, data)
        self.writes += 1


@pytest.fixture
def store(tmp_path: Path) -> FarStore:
    return FarStore(tmp_path / "store")


def prepared(store: FolderStore, *paths: str, cache: Path = Path("/nowhere")) -> Shipment:
    return pack_up(
        task="app:task",
        root=Path("/"),
        code="image",
        store=store,
        application=APPLICATION,
        files=Files(cache, store),
        flats=[{"data.path": None, "x": "not/a/path"}],
        trials=[Trial(i, 0, {"data.path": path}) for i, path in enumerate(paths)],
    )


def sent(shipment: Shipment, store: FolderStore) -> str:
    out = io.StringIO()
    send(shipment, store=store, console=Console(file=out, width=200))
    return out.getvalue()


def make_file(place: Path, size: int = 2500) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes((bytes(range(251)) * (size // 251 + 1))[:size])
    return place


def elsewhere(tmp_path: Path, store: FolderStore, shipment: Shipment) -> Files:
    return Files(tmp_path / "cache", store, shipment.facts["files"])


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1])
def test_a_file_reaches_a_machine_that_lacks_it(tmp_path: Path, store: FarStore, size: int) -> None:
    path = make_file(tmp_path / "here" / "load.csv", size)
    content = path.read_bytes()
    shipment = prepared(store, str(path))

    line = sent(shipment, store)
    path.unlink()

    found = elsewhere(tmp_path, store, shipment).place(str(path))
    assert Path(found).read_bytes() == content
    assert Path(found).name == "load.csv"
    assert "load.csv uploaded" in line


def test_a_file_is_uploaded_once_whatever_it_is_called(tmp_path: Path, store: FarStore) -> None:
    first, second = make_file(tmp_path / "a.csv"), make_file(tmp_path / "b.csv")
    sent(prepared(store, str(first)), store)
    before = store.writes

    line = sent(prepared(store, str(second)), store)

    assert store.writes == before
    assert "b.csv is in the store" in line


def test_a_broken_upload_goes_on_where_it_broke_off(tmp_path: Path, store: FarStore) -> None:
    path = make_file(tmp_path / "a.csv", PART + 1)
    shipment = prepared(store, str(path))
    sent(shipment, store)
    store.delete(f"{shared.data_prefix(shipment.files[0].sha256)}000002")
    store.writes = 0

    sent(shipment, store)

    assert store.writes == 1
    assert not uploading.missing_parts(store, shipment.files[0].sha256, size=PART + 1)


def test_a_file_that_is_here_is_read_in_place(tmp_path: Path, store: FarStore) -> None:
    path = make_file(tmp_path / "a.csv")
    shipment = prepared(store, str(path))

    found = elsewhere(tmp_path, store, shipment).place(str(path))

    assert found == str(path)  # though nothing was uploaded


def test_another_file_of_that_name_is_not_taken_for_it(tmp_path: Path, store: FarStore) -> None:
    path = make_file(tmp_path / "a.csv")
    content = path.read_bytes()
    shipment = prepared(store, str(path))
    sent(shipment, store)
    path.write_bytes(content[::-1])  # of the same size

    found = elsewhere(tmp_path, store, shipment).place(str(path))

    assert Path(found).read_bytes() == content


def test_the_cache_is_checked_and_mended(tmp_path: Path, store: FarStore) -> None:
    path = make_file(tmp_path / "a.csv")
    content = path.read_bytes()
    shipment = prepared(store, str(path))
    sent(shipment, store)
    path.unlink()
    cached = Path(elsewhere(tmp_path, store, shipment).place(str(path)))
    cached.write_bytes(b"tampered with")

    found = elsewhere(tmp_path, store, shipment).place(str(path))

    assert Path(found).read_bytes() == content


def test_a_damaged_upload_is_refused_and_leaves_nothing(tmp_path: Path, store: FarStore) -> None:
    path = make_file(tmp_path / "a.csv")
    shipment = prepared(store, str(path))
    sent(shipment, store)
    store.write(f"{shared.data_prefix(shipment.files[0].sha256)}000001", b"x" * 2500)
    path.unlink()

    with pytest.raises(BadInput, match="does not match its name"):
        elsewhere(tmp_path, store, shipment).place(str(path))

    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]


def test_a_file_that_was_never_uploaded_is_named(tmp_path: Path, store: FarStore) -> None:
    path = make_file(tmp_path / "a.csv")
    shipment = prepared(store, str(path))
    path.unlink()

    with pytest.raises(BadInput, match=r"000001 does not exist; start the multirun again where"):
        elsewhere(tmp_path, store, shipment).place(str(path))


def test_a_file_that_changes_while_it_is_uploaded_is_refused(
    tmp_path: Path, store: FarStore
) -> None:
    path = make_file(tmp_path / "a.csv")
    shipment = prepared(store, str(path))
    path.write_bytes(path.read_bytes()[::-1])

    with pytest.raises(BadInput, match="changed while it was uploaded"):
        sent(shipment, store)

    assert not store.sizes(shared.ROOT)


def test_a_file_that_is_too_large_is_refused_with_another_way(
    tmp_path: Path, store: FarStore
) -> None:
    with pytest.raises(BadInput, match=r"data\.path=a\.csv: 6\.0 GiB.*s3://"):
        uploading.refuse_large("data.path", Path("a.csv"), size=6 << 30)


def test_a_file_that_is_not_there_is_named(store: FarStore) -> None:
    with pytest.raises(BadInput, match=r"gone\.csv: No such file"):
        prepared(store, "gone.csv")


def test_nothing_is_uploaded_to_a_store_of_this_machine(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")

    shipment = prepared(store, str(make_file(tmp_path / "a.csv")))

    assert (shipment.files, shipment.facts) == ([], {})


def test_a_later_batch_brings_what_no_earlier_one_named(tmp_path: Path, store: FarStore) -> None:
    first, second = make_file(tmp_path / "a.csv"), make_file(tmp_path / "b.csv", 10)
    trials = [Trial(i, 0, {"data.path": str(path)}) for i, path in enumerate((first, second))]

    found = data_files(
        store=store,
        application=APPLICATION,
        files=Files(tmp_path, store),
        flats=[],
        trials=trials,
        known={str(first)},
    )

    assert [file.path for file in found] == [str(second)]


def test_an_application_reads_where_the_file_is_and_keeps_its_settings(
    tmp_path: Path, store: FarStore
) -> None:
    path = make_file(tmp_path / "a.csv")
    shipment = prepared(store, str(path))
    sent(shipment, store)
    path.unlink()
    seen: list[Any] = []

    def baselines(tree: Mapping[str, Any]) -> dict[str, dict[str, float]]:
        seen.append(tree["data"]["path"])
        return {}

    def cost(config: Flat) -> Any:
        seen.append(config["data.path"])
        return None

    plain: Application = dataclasses.replace(
        APPLICATION,
        baselines=baselines,
        cost=dataclasses.replace(APPLICATION.cost, of=cost),
    )
    application = reading(plain, elsewhere(tmp_path, store, shipment))
    tree = {"data": {"path": str(path), "name": "a"}}

    application.baselines(tree)
    application.cost.of({"data.path": str(path)})

    assert tree["data"]["path"] == str(path)
    assert [Path(place).is_relative_to(tmp_path / "cache") for place in seen] == [True, True]


def test_code_is_shipped_once_and_says_what_stays(tmp_path: Path, store: FarStore) -> None:
    repository = make_repository(tmp_path / "code", {"app.py": "x = 1\n"})
    write(repository, {"new.py": ""})

    def shipment() -> Shipment:
        return pack_up(
            task="app.py:task",
            root=repository,
            code="bundle",
            store=store,
            application=None,
            files=Files(tmp_path),
            flats=[],
            trials=[],
        )

    lines = sent(shipment(), store)
    sent(shipment(), store)

    code = shipment().facts["code"]
    assert code["task"] == "app.py:task"
    assert list(store.sizes(shared.ROOT)) == [shared.bundle_key(code["bundle"])]
    assert "code     1 files" in lines
    assert "not tracked by git, so left out: new.py" in lines


def test_another_word_for_code_is_refused(tmp_path: Path, store: FarStore) -> None:
    with pytest.raises(BadInput, match=r"hydra\.launcher\.code=zip: no such choice"):
        pack_up(
            task="app.py:task",
            root=tmp_path,
            code="zip",
            store=store,
            application=None,
            files=Files(tmp_path),
            flats=[],
            trials=[],
        )


def test_what_the_studies_share_is_found_by_no_study_s_name(
    tmp_path: Path, store: FarStore
) -> None:
    shipment = prepared(store, str(make_file(tmp_path / "a.csv", 1)))
    sent(shipment, store)

    digest = hashlib.sha256(b"\0").hexdigest()
    assert list(store.sizes("")) == [f"_shared/data/{digest}/000001"]
