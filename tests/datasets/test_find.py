from __future__ import annotations

import hashlib

import pytest
import yaml

from sweep import datasets
from sweep.app import configs
from sweep.errors import BadInput, UnknownName


def content(found: datasets.Dataset) -> bytes:
    return found.path.read_bytes() + (b"" if found.test is None else found.test.read_bytes())


@pytest.mark.parametrize("name", datasets.DATASETS)
def test_a_vendored_file_is_what_it_says(name: str) -> None:
    found = datasets.find(name)

    assert found.name == name
    assert hashlib.sha256(content(found)).hexdigest() == found.sha256


@pytest.mark.parametrize("name", datasets.DATASETS)
def test_the_notice_names_each_file_with_its_hash(name: str) -> None:
    found = datasets.find(name)

    notice = (found.path.parent / "README.md").read_text()

    assert found.path.name in notice
    assert found.sha256 in notice


def test_an_unknown_name_is_refused_with_what_there_is() -> None:
    with pytest.raises(UnknownName, match="data set 'jkf' does not exist; did you mean jfk"):
        datasets.find("jkf")


@pytest.mark.parametrize("name", datasets.NOT_SHIPPED)
def test_the_hash_of_what_is_not_shipped_is_the_one_that_is_pinned(name: str) -> None:
    own = yaml.safe_load((configs() / "data" / f"{name}.yaml").read_text())

    assert own["sha256"] in datasets.NOT_SHIPPED[name]


def test_what_is_not_shipped_is_refused_with_the_way_to_get_it() -> None:
    with pytest.raises(BadInput, match=r"CC BY-ND 4\.0.*curl .*ETTh1\.csv.*data\.path=ETTh1\.csv"):
        datasets.find("etth1")
