"""A bucket that goes away for a while loses nothing, and a lease has one holder at most."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest
from testbed.levers import Link, killed, paused
from testbed.s3 import Bucket

from sweep.errors import Busy, StoreLost
from sweep.store import Store
from sweep.store.lease import Terms
from sweep.store.s3 import S3Store

pytestmark = [pytest.mark.stack, pytest.mark.slow]

QUICK = Terms(renew_s=0.5, lost_s=3.0)
Outage = Callable[[Bucket, Link], AbstractContextManager[None]]

OUTAGES: dict[str, tuple[Outage, float]] = {
    "killed": (lambda bucket, link: killed(bucket.server.process), 60.0),
    "paused": (lambda bucket, link: paused(bucket.server.process), 3.0),
    "refusing": (lambda bucket, link: link.refusing(), 60.0),
    "silent": (lambda bucket, link: link.silent(), 3.0),
}


@pytest.fixture
def link(s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Link]:
    """The way to the bucket, that this process' variables name."""
    with Link(s3.endpoint) as link:
        for name, value in s3.at(link.url).env.items():
            monkeypatch.setenv(name, value)
        yield link


@pytest.fixture
def store(s3: Bucket, link: Link) -> S3Store:
    return S3Store.open(f"{s3.url}/studies", terms=QUICK)


def write_until(stop: threading.Event, store: Store) -> int:
    """Write in every way until told to stop; return the number of turns."""
    turn = 0
    while not stop.is_set():
        store.write(f"written/{turn}", b"w%d" % turn)
        assert store.create(f"created/{turn}", b"c%d" % turn)
        store.append("log", b"%d\n" % turn)
        assert store.read(f"written/{turn}") == b"w%d" % turn
        turn += 1
    return turn


@pytest.mark.parametrize("name", OUTAGES)
def test_a_store_that_is_away_for_a_while_loses_nothing(
    name: str, store: S3Store, s3: Bucket, link: Link
) -> None:
    outage, lasts_s = OUTAGES[name]
    stop = threading.Event()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write_until, stop, store)
        time.sleep(0.5)
        with outage(s3, link):
            time.sleep(lasts_s)
            assert not writing.done()
        time.sleep(0.5)
        stop.set()
        turns = writing.result(timeout=60)

    assert turns > 1
    assert store.read("log") == b"".join(b"%d\n" % turn for turn in range(turns))
    assert len(store.sizes("written/")) == turns
    assert [store.read(f"created/{turn}") for turn in range(turns)] == [
        b"c%d" % turn for turn in range(turns)
    ]


def test_patience_ends(store: S3Store, s3: Bucket, link: Link) -> None:
    short = S3Store.open(s3.url, patience_s=1)

    began = time.monotonic()
    with link.refusing(), pytest.raises(StoreLost, match=r"did not answer for 1 s .*resume"):
        short.write("a", b"x")

    assert 1 <= time.monotonic() - began < 8


def test_a_server_killed_in_the_middle_of_a_write_gets_all_of_it(
    store: S3Store, s3: Bucket, link: Link
) -> None:
    content = bytes(range(256)) * 8_000  # 2 MB
    store.write("weights", b"older")

    with ThreadPoolExecutor(1) as pool:
        with link.slow(bytes_per_s=1_000_000):
            writing = pool.submit(store.write, "weights", content)
            time.sleep(1.0)
            with killed(s3.server.process):
                assert not writing.done()
        writing.result(timeout=60)

    assert store.read("weights") == content


@pytest.mark.parametrize("answers", [1, 2, 3, 5])  # of which boto3 itself tries twice
def test_an_answer_that_is_lost_after_the_write_is_no_second_write(
    answers: int, store: S3Store, link: Link
) -> None:
    link.lose_answers(answers)
    created = store.create("attempt-1.json", b"ours")
    again = store.create("attempt-1.json", b"ours")
    link.lose_answers(answers)
    store.append("log", b"one\n")
    link.lose_answers(answers)
    store.append("log", b"two\n")

    assert (created, again) == (True, False)
    assert store.read("log") == b"one\ntwo\n"


def test_a_lost_answer_does_not_hide_that_another_was_first(
    store: S3Store, s3: Bucket, link: Link
) -> None:
    s3.client().put_object(Bucket=s3.name, Key="studies/attempt-1.json", Body=b"theirs")

    link.lose_answers(3)

    assert not store.create("attempt-1.json", b"ours")
    assert store.read("attempt-1.json") == b"theirs"


def test_a_lease_is_renewed_while_it_is_held(store: S3Store, s3: Bucket) -> None:
    other = S3Store.open(store.url, terms=QUICK)

    with store.hold("lease.json", "us"):
        time.sleep(2 * QUICK.lost_s)
        with pytest.raises(Busy, match="conducted by us"), other.hold("lease.json", "them"):
            pass
        store.write("a", b"ours")

    assert not other.held("lease.json")


def test_a_lease_that_was_taken_over_stops_every_write(
    store: S3Store, s3: Bucket, monkeypatch: pytest.MonkeyPatch, link: Link
) -> None:
    part = store.at("study")
    with Link(s3.endpoint) as straight, contextlib.ExitStack() as stack:
        for name, value in s3.at(straight.url).env.items():
            monkeypatch.setenv(name, value)
        other = S3Store.open(store.url, terms=QUICK)
        stack.enter_context(store.hold("lease.json", "us"))

        with link.refusing():
            time.sleep(QUICK.lost_s + 1.5)  # of age, which the store tells in whole seconds
            stack.enter_context(other.hold("lease.json", "them"))
            other.write("object", b"theirs")

        for write in (
            lambda: store.write("object", b"ours"),
            lambda: store.create("new", b"ours"),
            lambda: store.append("object", b"ours"),
            lambda: store.delete("object"),
            lambda: part.write("object", b"ours"),
        ):
            with pytest.raises(Busy, match="conducted by them"):
                write()
        assert other.sizes("") == {"object": 6, "lease.json": len(other.read("lease.json"))}
        stack.pop_all().close()
        assert not other.held("lease.json")  # the last to have it gave it back


def test_a_lease_outlasts_a_store_that_is_away(store: S3Store, s3: Bucket, link: Link) -> None:
    with store.hold("lease.json", "us"):
        with link.refusing():
            time.sleep(QUICK.lost_s + 1.5)

        store.write("a", b"ours")

        assert store.held("lease.json")


def test_a_lease_is_taken_and_renewed_though_answers_are_lost(store: S3Store, link: Link) -> None:
    link.lose_answers(4)
    with store.hold("lease.json", "us"):
        for _ in range(4):
            link.lose_answers(1)
            time.sleep(QUICK.renew_s)
        store.write("a", b"ours")
        held = store.held("lease.json")

    assert held
    assert not store.held("lease.json")
