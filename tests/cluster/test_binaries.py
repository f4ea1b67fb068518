"""A program is built once, and again where its sources changed or its file is not whole."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from testbed import binaries
from testbed.errors import BedError

pytestmark = pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed")


@pytest.fixture
def build(tmp_path: Path) -> binaries.Builder:
    """Build a module of one line from a folder, into a cache of the test's own."""
    module = tmp_path / "go" / "tiny"
    module.mkdir(parents=True)
    (module / "go.mod").write_text("module tiny\n\ngo 1.24\n")
    write(module, says="first")
    return binaries.Builder(sources=tmp_path / "go", cache=tmp_path / "cache")


def write(module: Path, *, says: str) -> None:
    (module / "main.go").write_text(f'package main\n\nfunc main() {{ println("{says}") }}\n')


def said(program: Path) -> str:
    return subprocess.run([program], capture_output=True, text=True, check=True).stderr.strip()


def test_is_built_once(build: binaries.Builder) -> None:
    first = build.binary("tiny")
    made = first.stat().st_mtime_ns

    again = build.binary("tiny")

    assert (again, again.stat().st_mtime_ns, said(again)) == (first, made, "first")


def test_without_sources_of_its_own_a_module_is_the_tool_that_it_names(
    build: binaries.Builder,
) -> None:
    tool = build.sources / "kit" / "cmd"
    tool.mkdir(parents=True)
    write(tool, says="a tool")
    (build.sources / "kit" / "go.mod").write_text("module kit\n\ngo 1.24\n\ntool kit/cmd\n")

    program = build.binary("kit")

    assert said(program) == "a tool"


def test_is_built_anew_when_its_source_changes(build: binaries.Builder) -> None:
    build.binary("tiny")
    write(build.sources / "tiny", says="second")

    assert said(build.binary("tiny")) == "second"


@pytest.mark.parametrize("damage", ["cut short", "overwritten", "gone"])
def test_a_broken_one_is_built_anew(build: binaries.Builder, damage: str) -> None:
    program = build.binary("tiny")
    whole = program.stat().st_size
    if damage == "gone":
        program.unlink()
    elif damage == "cut short":
        program.write_bytes(program.read_bytes()[:1000])
    else:
        program.write_bytes(bytes(whole))

    assert said(build.binary("tiny")) == "first"


def test_an_interrupted_build_leaves_nothing_that_is_taken_for_whole(
    build: binaries.Builder,
) -> None:
    program = build.binary("tiny")
    program.with_suffix(".new").write_bytes(b"half")
    program.with_suffix(".size").unlink(missing_ok=True)

    assert said(build.binary("tiny")) == "first"


def test_what_does_not_compile_is_told(build: binaries.Builder) -> None:
    (build.sources / "tiny" / "main.go").write_text("package main\n\nfunc main() { nonsense }\n")

    with pytest.raises(BedError, match="undefined: nonsense"):
        build.binary("tiny")


def test_the_program_before_the_newest_is_kept_for_another_checkout(
    build: binaries.Builder,
) -> None:
    programs = []
    for word in ("first", "second", "third"):
        write(build.sources / "tiny", says=word)
        programs.append(build.binary("tiny"))

    assert [program.exists() for program in programs] == [False, True, True]
