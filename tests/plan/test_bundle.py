"""Code in one object: the same bytes for the same files, and nothing else unpacked."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from contextlib import suppress
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import BadInput, CorruptPlan
from sweep.plan.bundle import MOST_FILES, File, make_bundle, read_bundle, refuse_large

names = st.lists(st.text("abcxyz_é. ", min_size=1, max_size=8), min_size=1, max_size=3).map(
    lambda parts: "/".join(parts)
)
sound = names.filter(lambda name: ".." not in PurePosixPath(name).parts and "//" not in name)
files = st.lists(
    st.builds(File, sound, st.binary(max_size=40), st.booleans()),
    max_size=5,
    unique_by=lambda file: file.name,
)


@given(files)
def test_what_is_packed_comes_out(files: list[File]) -> None:
    bundle = make_bundle(files)

    found = read_bundle(bundle.data, sha256=bundle.sha256, where="b")

    assert found == sorted(files, key=lambda file: file.name)


@given(st.permutations([File("a.py", b"1"), File("b/c.py", b"2"), File("é", b"", True)]))
def test_the_order_of_files_does_not_matter(files: list[File]) -> None:
    assert make_bundle(files) == make_bundle(list(reversed(files)))


def test_a_bundle_is_named_by_what_is_in_it() -> None:
    one = make_bundle([File("a.py", b"x = 1\n")])

    assert one.sha256 != make_bundle([File("a.py", b"x = 2\n")]).sha256
    assert one.sha256 != make_bundle([File("b.py", b"x = 1\n")]).sha256
    assert one.sha256 != make_bundle([File("a.py", b"x = 1\n", executable=True)]).sha256


def test_another_compressor_gives_the_same_bundle() -> None:
    bundle = make_bundle([File("a.py", b"x = 1\n" * 1000)])
    other = gzip.compress(gzip.decompress(bundle.data), compresslevel=1)

    assert other != bundle.data
    assert read_bundle(other, sha256=bundle.sha256, where="b")


@given(st.data())
def test_no_changed_byte_is_unpacked_as_something_else(data: st.DataObject) -> None:
    files = [File("a.py", b"x = 1\n")]
    bundle = make_bundle(files)
    at = data.draw(st.integers(0, len(bundle.data) - 1))
    flipped = bytes([bundle.data[at] ^ data.draw(st.integers(1, 255))])
    changed = bundle.data[:at] + flipped + bundle.data[at + 1 :]

    found = None
    with suppress(CorruptPlan):
        found = read_bundle(changed, sha256=bundle.sha256, where="b")

    assert found in (None, files)  # the same where the change was in the header's time


@pytest.mark.parametrize("name", ["/etc/passwd", "../up.py", "a/../../up.py"])
def test_a_file_that_would_lie_elsewhere_is_refused(name: str) -> None:
    bundle = make_bundle([File(name, b"")])

    with pytest.raises(CorruptPlan, match="not unpacked"):
        read_bundle(bundle.data, sha256=bundle.sha256, where="b")


def test_a_link_is_refused() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        link = tarfile.TarInfo("a.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    data = buffer.getvalue()

    with pytest.raises(CorruptPlan, match=r"a\.py"):
        read_bundle(gzip.compress(data), sha256=hashlib.sha256(data).hexdigest(), where="b")


def test_code_that_is_too_large_names_its_largest_files() -> None:
    sizes = {"small.py": 10, "big.bin": 900, "bigger.bin": 1000, "middle.bin": 800}

    refuse_large(sizes, most=2710)
    with pytest.raises(BadInput, match=r"bigger\.bin.*big\.bin.*middle\.bin") as refused:
        refuse_large(sizes, most=2709)

    assert "small.py" not in str(refused.value)


def test_a_whole_tree_of_small_files_is_refused() -> None:
    with pytest.raises(BadInput, match="20,001 files"):
        refuse_large({str(i): 0 for i in range(MOST_FILES + 1)})


@pytest.mark.parametrize("data", [b"", b"no archive", gzip.compress(b"another")])
def test_what_is_no_bundle_is_named(data: bytes) -> None:
    with pytest.raises(CorruptPlan, match=r"s3://b/key: its content does not match"):
        read_bundle(data, sha256="0" * 64, where="s3://b/key")
