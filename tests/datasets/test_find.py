from __future__ import annotations

import hashlib

import pytest

from sweep import datasets
from sweep.errors import UnknownName


@pytest.mark.parametrize("name", datasets.DATASETS)
def test_a_vendored_file_is_what_it_says(name: str) -> None:
    found = datasets.find(name)

    assert found.name == name
    assert hashlib.sha256(found.path.read_bytes()).hexdigest() == found.sha256


@pytest.mark.parametrize("name", datasets.DATASETS)
def test_the_notice_names_each_file_with_its_hash(name: str) -> None:
    found = datasets.find(name)

    notice = (found.path.parent / "README.md").read_text()

    assert found.path.name in notice
    assert found.sha256 in notice


def test_an_unknown_name_is_refused_with_what_there_is() -> None:
    with pytest.raises(UnknownName, match="data set 'etth1' does not exist; there are: jfk"):
        datasets.find("etth1")
