"""Data at s3:// is read through a cache, from real servers."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from testbed.levers import Link

from sweep.errors import BadInput, StoreLost
from sweep.study.fetching import Files, cache_folder, fetch_s3

if TYPE_CHECKING:
    from testbed.s3 import Bucket


@pytest.fixture
def bucket(s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    return s3


def put(bucket: Bucket, content: bytes, key: str = "a/load.csv") -> str:
    bucket.client().put_object(Bucket=bucket.name, Key=key, Body=content)
    return f"{bucket.url}/{key}"


def test_an_object_is_fetched_once_and_again_when_it_changed(
    bucket: Bucket, tmp_path: Path
) -> None:
    address = put(bucket, b"first")
    first = fetch_s3(address, cache=tmp_path)
    stamp = first.stat().st_mtime_ns

    assert (first.read_bytes(), first.name) == (b"first", "load.csv")
    assert fetch_s3(address, cache=tmp_path).stat().st_mtime_ns == stamp

    put(bucket, b"other")  # of the same size

    assert fetch_s3(address, cache=tmp_path).read_bytes() == b"other"


def test_a_plan_s_hash_is_checked(bucket: Bucket, tmp_path: Path) -> None:
    address = put(bucket, b"first")
    plan = {address: {"sha256": hashlib.sha256(b"first").hexdigest(), "size": 5}}
    assert Path(Files(tmp_path, plan=plan).place(address)).read_bytes() == b"first"

    put(bucket, b"other")

    with pytest.raises(BadInput, match="has another content than when the study was planned"):
        Files(tmp_path, plan=plan).place(address)


def test_a_cut_file_in_the_cache_is_fetched_anew(bucket: Bucket, tmp_path: Path) -> None:
    address = put(bucket, b"first")
    fetch_s3(address, cache=tmp_path).write_bytes(b"fi")

    assert fetch_s3(address, cache=tmp_path).read_bytes() == b"first"


def test_an_object_that_is_not_there_is_named(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=rf"{bucket.url}/gone\.csv cannot be read"):
        fetch_s3(f"{bucket.url}/gone.csv", cache=tmp_path)


def test_a_server_that_does_not_answer_is_nobody_s_mistake(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SWEEP_STORE_PATIENCE_S", "0.1")

    with pytest.raises(StoreLost, match="did not answer for 0 s"):
        fetch_s3(f"{bucket.url}/a", cache=tmp_path)


def test_a_server_that_comes_back_is_waited_for(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = put(bucket, b"first")
    with Link(bucket.endpoint) as link, ThreadPoolExecutor(1) as pool:
        monkeypatch.setenv("AWS_ENDPOINT_URL", link.url)
        with link.refusing():
            fetched = pool.submit(fetch_s3, address, cache=tmp_path)
            with pytest.raises(TimeoutError):
                fetched.result(timeout=0.5)

        assert fetched.result(timeout=60).read_bytes() == b"first"


@pytest.mark.parametrize("address", ["s3://", "s3://bucket", "s3://bucket/", "s3:///key"])
def test_an_address_without_bucket_or_key_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="write s3://BUCKET/KEY"):
        fetch_s3(address, cache=tmp_path)


def test_the_cache_is_where_a_person_wants_it(tmp_path: Path) -> None:
    assert cache_folder({"SWEEP_CACHE": str(tmp_path)}) == tmp_path
    assert cache_folder({}).name.startswith("sweep-cache-")
