"""What every store has to do; a test class per kind of store inherits it and names its store."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence

import pytest

from sweep.errors import Busy
from sweep.store import Store, open_store

RACE = """
import sys, time
from sweep.store import open_store
store, start = open_store(sys.argv[1]), float(sys.argv[2])
time.sleep(max(0.0, start - time.time()))
print(sum(store.create(f"race/{i}", sys.argv[3].encode()) for i in range(200)))
"""
HOLD = """
import sys, time
from sweep.store import open_store
with open_store(sys.argv[1]).hold("lease.json", "process 1 on another machine"):
    print("held", flush=True)
    time.sleep(60)
"""
REPLACE = """
import itertools, sys
from sweep.store import open_store
store = open_store(sys.argv[1])
print("started", flush=True)
for i in itertools.count():
    store.write("object", bytes([i % 2]) * 300_000)
"""


def start(program: str, arguments: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True
    )


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


class StoreConformance:
    forgets_s = 0.0  # how long a lease may outlast its holder's death

    @pytest.fixture
    def store(self) -> Store:
        raise NotImplementedError("return a store that is there and holds nothing")

    def test_what_was_written_is_read(self, store: Store) -> None:
        content = bytes(range(256)) * 3

        store.write("a/b.bin", content)

        assert store.read("a/b.bin") == content
        assert store.read("a/b.bin", 700) == content[700:]
        assert store.read("a/b.bin", len(content)) == b""

    def test_writing_replaces(self, store: Store) -> None:
        store.write("a", b"a long one")
        store.write("a", b"short")

        assert store.read("a") == b"short"

    def test_a_missing_key_is_a_key_error(self, store: Store) -> None:
        store.write("folder/object", b"")

        for key in ("absent", "absent/object", "folder", "folder/object/below"):
            with pytest.raises(KeyError):
                store.read(key)

    def test_an_object_is_created_once(self, store: Store) -> None:
        assert store.create("a/b", b"first")
        assert not store.create("a/b", b"second")

        assert store.read("a/b") == b"first"

    def test_of_two_processes_one_creates_each_object(self, store: Store) -> None:
        soon = str(time.time() + 1)
        racers = {name: start(RACE, [store.url, soon, name]) for name in ("one", "two")}

        won = {name: int(racer.communicate()[0]) for name, racer in racers.items()}

        kept = [store.read(f"race/{i}").decode() for i in range(200)]
        assert won == {name: kept.count(name) for name in racers}
        assert sum(won.values()) == 200
        assert len(store.sizes("")) == 200  # nothing of the losers is left

    def test_a_reader_never_sees_half_an_object(self, store: Store) -> None:
        store.write("object", bytes([1]) * 300_000)
        writer = start(REPLACE, [store.url])
        try:
            assert first_line(writer) == "started"
            seen = [store.read("object") for _ in range(200)]
        finally:
            writer.kill()
            writer.communicate()

        assert {len(content) for content in seen} == {300_000}
        assert all(len(set(content)) == 1 for content in seen)
        assert len({content[0] for content in seen}) == 2

    def test_appending_begins_and_goes_on(self, store: Store) -> None:
        store.append("log", b"one\n")
        store.append("log", b"two\n")

        assert store.read("log") == b"one\ntwo\n"
        assert store.read("log", 4) == b"two\n"

    def test_sizes_are_those_below_a_prefix(self, store: Store) -> None:
        store.write("packs/00000/log", b"123")
        store.write("packs/00001/log", b"12")
        store.append("packs/00001/results", b"1")
        store.write("study.json", b"{}")

        assert store.sizes("packs/00001/") == {"packs/00001/log": 2, "packs/00001/results": 1}
        assert store.sizes("packs/") == {"packs/00000/log": 3, **store.sizes("packs/00001/")}
        assert store.sizes("") == {"study.json": 2, **store.sizes("packs/")}
        assert store.sizes("absent/") == {}

    def test_folders_are_the_first_parts_of_keys(self, store: Store) -> None:
        assert store.folders() == []
        store.write("two/a", b"")
        store.write("one/a/b", b"")
        store.write("object", b"")

        assert sorted(store.folders()) == ["one", "two"]

    def test_deleting_twice_is_no_error(self, store: Store) -> None:
        store.write("a/b", b"")

        store.delete("a/b")
        store.delete("a/b")

        assert store.sizes("") == {}

    def test_a_part_is_a_store_of_its_own(self, store: Store) -> None:
        part = store.at("study")
        store.create("study/a/b", b"x")
        part.create("c", b"yz")

        assert store.read("study/c") == b"yz"
        assert part.sizes("") == {"a/b": 1, "c": 2}
        assert open_store(part.url).read("a/b") == b"x"

    def test_an_address_opens_the_same_store(self, store: Store) -> None:
        store.write("a", b"x")

        assert open_store(store.url).read("a") == b"x"
        assert open_store(store.url).url == store.url

    def test_a_lease_can_be_asked_after_without_being_taken(self, store: Store) -> None:
        before = store.held("lease.json")
        with store.hold("lease.json", "somebody"):
            during = store.held("lease.json")

        assert [before, during, store.held("lease.json")] == [False, True, False]

    def test_a_lease_has_one_holder_and_is_given_back(self, store: Store) -> None:
        with (
            store.hold("lease.json", "the first"),
            pytest.raises(Busy, match="the first"),
            open_store(store.url).hold("lease.json", "the second"),
        ):
            pass

        with store.hold("lease.json", "the third"):
            pass

    def test_a_failure_gives_a_lease_back(self, store: Store) -> None:
        with pytest.raises(ZeroDivisionError), store.hold("lease.json", "the first"):
            raise ZeroDivisionError

        with store.hold("lease.json", "the second"):
            pass

    def test_another_process_is_named_and_its_death_frees_the_lease(self, store: Store) -> None:
        holder = start(HOLD, [store.url])
        assert first_line(holder) == "held"
        with (
            pytest.raises(Busy, match="process 1 on another machine"),
            store.hold("lease.json", "us"),
        ):
            pass

        holder.kill()
        holder.communicate()
        until = time.monotonic() + self.forgets_s
        while store.held("lease.json") and time.monotonic() < until:
            time.sleep(0.2)

        with store.hold("lease.json", "us"):
            pass
