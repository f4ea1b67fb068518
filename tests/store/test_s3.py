"""A bucket is a store as a folder is, on two implementations of S3."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace

import pytest
from conformance import StoreConformance
from testbed.levers import Link
from testbed.processes import free_port
from testbed.s3 import Bucket, Keys, variables

from sweep.errors import BadInput, StoreLost
from sweep.store import Store, open_store
from sweep.store.lease import Terms
from sweep.store.s3 import S3Store

stack = pytest.mark.stack
slow = pytest.mark.slow

FORKS = """
import os, sys
from sweep.store import open_store
store = open_store(sys.argv[1])
store.write("before", b"x")
children = []
for name in ("one", "two", "three", "parent"):
    pid = os.fork() if name != "parent" else 0
    if pid == 0:
        for number in range(30):
            store.write(f"{name}/{number}", name.encode() * number)
            assert store.read(f"{name}/{number}") == name.encode() * number
        if name != "parent":
            os._exit(0)
    else:
        children.append(pid)
assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
"""


def use(monkeypatch: pytest.MonkeyPatch, env: Mapping[str, str]) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket that this process' variables lead to."""
    use(monkeypatch, s3.env)
    return s3


@stack
@slow
class TestS3Store(StoreConformance):
    forgets_s = 20.0

    @pytest.fixture
    def store(self, bucket: Bucket) -> Store:
        return S3Store.open(f"{bucket.url}/some/prefix", terms=Terms(lost_s=12))


@stack
@slow
def test_a_prefix_ends_at_a_slash(bucket: Bucket) -> None:
    whole, part = open_store(bucket.url), open_store(f"{bucket.url}/study/")
    whole.write("study/a", b"1")
    whole.write("study-2/b", b"1")

    assert part.url == f"{bucket.url}/study"
    assert part.sizes("") == {"a": 1}
    assert whole.folders() == ["study", "study-2"]


@stack
@slow
def test_more_keys_than_one_answer_holds_are_told(bucket: Bucket) -> None:
    store = open_store(bucket.url)
    for number in range(1001):
        store.write(f"packs/{number:05d}/log", b"12")

    assert store.sizes("packs/") == {f"packs/{n:05d}/log": 2 for n in range(1001)}
    assert len(store.at("packs").folders()) == 1001


@stack
@slow
def test_keys_may_hold_any_character(bucket: Bucket) -> None:
    key = "trials/000042/output/a b+c%20d=é/ü.txt"
    store = open_store(bucket.url)

    store.write(key, b"x")

    assert store.sizes("trials/") == {key: 1}
    assert store.read(key) == b"x"


@stack
@slow
def test_a_second_writer_of_a_log_loses_nothing(bucket: Bucket) -> None:
    one, two = open_store(bucket.url), open_store(bucket.url)

    for number in range(5):
        one.append("log", f"one {number}\n".encode())
        two.append("log", f"two {number}\n".encode())
    one.delete("log")
    one.append("log", b"anew\n")
    two.append("log", b"too\n")

    assert one.read("log") == b"anew\ntoo\n"


@stack
@slow
def test_what_was_appended_goes_on_where_it_was_left(bucket: Bucket) -> None:
    lines = {f"logs/{number}": b"" for number in range(40)}  # more than are remembered
    store = open_store(bucket.url)

    for turn in range(3):
        for key in lines:
            lines[key] += f"{turn}\n".encode()
            store.append(key, f"{turn}\n".encode())

    assert {key: store.read(key) for key in lines} == lines


@stack
@slow
def test_a_fork_has_its_own_connections(bucket: Bucket) -> None:
    subprocess.run([sys.executable, "-c", FORKS, bucket.url], check=True)

    assert len(open_store(bucket.url).sizes("")) == 1 + 4 * 30


@stack
@slow
@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda b: replace(b, keys=Keys(b.keys.access, "guessed")), "AWS_SECRET_ACCESS_KEY"),
        (lambda b: replace(b, keys=Keys("nobody", b.keys.secret)), "AWS_ACCESS_KEY_ID"),
        (lambda b: replace(b, name="not-there"), "the bucket does not exist; make it"),
    ],
    ids=["wrong secret", "unknown key", "no such bucket"],
)
def test_what_a_server_refuses_is_said_in_one_line(
    bucket: Bucket, change: object, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(change)
    wrong = change(bucket)
    use(monkeypatch, wrong.env)

    with pytest.raises(BadInput, match=text) as refused:
        open_store(wrong.url)

    assert f"{wrong.url} at {bucket.endpoint}" in str(refused.value)
    assert "\n" not in str(refused.value)


@stack
@slow
def test_a_bucket_that_is_gone_later_is_a_lost_store(bucket: Bucket) -> None:
    store = open_store(bucket.url)
    bucket.client().delete_bucket(Bucket=bucket.name)

    with pytest.raises(StoreLost, match="the bucket does not exist"):
        store.write("a", b"x")

    bucket.client().create_bucket(Bucket=bucket.name)
    store.write("a", b"x")


def nobody(monkeypatch: pytest.MonkeyPatch, **env: str) -> str:
    """Lead to an endpoint where nobody listens."""
    endpoint, keys = f"http://127.0.0.1:{free_port()}", Keys.fresh()
    use(monkeypatch, variables(endpoint, keys) | env)
    return endpoint


def test_a_store_that_does_not_answer_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = nobody(monkeypatch)

    with pytest.raises(
        StoreLost, match=f"{endpoint} did not answer for 1 s .*refused.*bring it back"
    ):
        open_store("s3://bucket/prefix", patience_s=1)


def test_credentials_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody(monkeypatch)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    with pytest.raises(BadInput, match="no credentials; set AWS_ACCESS_KEY_ID"):
        open_store("s3://bucket")


@pytest.mark.parametrize(
    ("address", "env", "text"),
    [
        ("s3://", {}, "'' is no name of a bucket"),
        ("s3:///prefix", {}, "write s3://BUCKET"),
        ("s3://a bucket", {}, "no name of a bucket"),
        ("s3://bucket", {"AWS_ENDPOINT_URL": "no address"}, "no address"),
        ("s3://bucket", {"SWEEP_STORE_PATIENCE_S": "long"}, "SWEEP_STORE_PATIENCE_S=long"),
        ("s3://bucket", {"SWEEP_STORE_PATIENCE_S": "-1"}, "no number of seconds"),
        ("s3://bucket", {"AWS_PROFILE": "stranger"}, "stranger"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(
    monkeypatch: pytest.MonkeyPatch, address: str, env: dict[str, str], text: str
) -> None:
    nobody(monkeypatch, **env)

    with pytest.raises(BadInput, match=text):
        open_store(address)


def test_a_folder_does_not_load_what_a_bucket_needs() -> None:
    program = "from sweep.store import open_store; open_store('.'); import sys; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert not {b"boto3", b"botocore", b"tenacity"} & set(loaded.stdout.split())


@stack
@slow
def test_a_slow_store_is_only_slow(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    with Link(bucket.endpoint) as link:
        use(monkeypatch, bucket.at(link.url).env)
        store = open_store(bucket.url)

        with link.slow(delay_s=0.2):
            store.write("a", b"x" * 300_000)
            read = store.read("a")

    assert read == b"x" * 300_000
