"""What a stranger's task returns, raises and leaves behind."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sweep.plan.records import Ledger, lines_of
from sweep.plan.trial import Failure, Record, State
from sweep.plan.values import decode_value
from sweep.returns import as_exception

APPLICATIONS = Path(__file__).parents[1] / "applications"
OURS = ("hydra/launcher=kubernetes", "hydra.launcher.cluster=local", "hydra.launcher.study=s")


@dataclass(frozen=True)
class Swept:
    code: int
    out: str
    err: str
    records: list[Record]  # by trial number

    @property
    def values(self) -> list[Any]:
        return [decode_value(record.value) for record in self.records]


def sweep(folder: Path, *words: Path | str) -> Swept:
    done = subprocess.run(
        [sys.executable, *words, *OURS, f"hydra.launcher.store={folder}/store", "-m"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    return Swept(done.returncode, done.stdout, done.stderr, records(folder / "store" / "s"))


def records(study: Path) -> list[Record]:
    ledger = Ledger()
    for file in sorted(study.glob("packs/*/results-*.jsonl")):
        for line in lines_of(file.read_bytes(), where=str(file), attempt=1, part=1)[0]:
            ledger.add(line)
    return [ledger.records[number] for number in sorted(ledger.records)]


def careless(folder: Path, acts: Sequence[str], *words: str) -> Swept:
    return sweep(folder, APPLICATIONS / "careless.py", f"+act={','.join(acts)}", *words)


ONE_PACK = ("hydra.launcher.pack.size=100", "hydra.launcher.parallelism=1")


def test_a_later_trial_of_a_process_finds_it_as_the_first_did(tmp_path: Path) -> None:
    swept = careless(tmp_path, ["look"], "+other=1,2,3", *ONE_PACK)

    first, *later = swept.values
    assert first["cwd"] == str(tmp_path)
    assert [found.pop("job") for found in (first, *later)] == [0, 1, 2]
    assert [found.pop("runs") for found in (first, *later)] == [
        0,
        1,
        2,
    ]  # one process, imported once
    assert later == [first, first]


def test_a_fresh_process_a_trial_shares_nothing(tmp_path: Path) -> None:
    swept = careless(tmp_path, ["look"], "+other=1,2,3", "hydra.launcher.recycle=1")

    assert len({found["pid"] for found in swept.values}) == 3
    assert [found["runs"] for found in swept.values] == [0, 0, 0]


def test_values_come_back_as_they_were(tmp_path: Path) -> None:
    acts = ["tuple", "mapping", "nothing", "endless", "undefined", "fraction", "numpy"]
    swept = careless(tmp_path, acts, *ONE_PACK)

    *equal, nan, fraction, numpy = swept.values
    assert swept.code == 0, swept.err
    assert equal == [(1, ("a", None), [True]), {"a": {"b": 1.5}}, None, -math.inf]
    assert math.isnan(nan)
    assert fraction == 0.25
    assert numpy == (0.5, 3, True, 2.5)
    assert [record.objective for record in swept.records[2:6]] == [None, None, None, 0.25]


@pytest.mark.parametrize(
    ("act", "kind", "text"),
    [
        ("exit", "SystemExit", "the task left by sys.exit(7)"),
        ("quit", "SystemExit", "the task left by sys.exit('enough')"),
        ("object", "TypeError", "the task returned a object, which"),
        ("set", "TypeError", "the task returned a set, which"),
        ("raise", "__main__.Own", "code 5: no more (5)"),
        ("key", "KeyError", "'absent'"),
        ("unicode", "UnicodeDecodeError", "'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_a_trial_that_ends_otherwise_fails_alone(
    tmp_path: Path, act: str, kind: str, text: str
) -> None:
    swept = careless(tmp_path, [act, "look"], *ONE_PACK)

    failed, other = swept.records
    assert (failed.state, other.state) == (State.FAILED, State.COMPLETED)
    assert failed.error is not None
    assert failed.error.type == kind
    assert failed.error.text.startswith(text)
    assert "\n" not in failed.error.text
    assert swept.code == 1
    error = as_exception(failed.error)
    assert type(error).__name__ == kind.removeprefix("__main__.")
    assert str(error) == failed.error.text
    assert str(error) in swept.err


def test_an_exception_of_a_known_type_is_of_it() -> None:
    known = as_exception(Failure("sweep.errors.BadInput", "x=1: no"))
    dull = as_exception(Failure("json.decoder.JSONDecodeError", "line 1"))

    assert type(known).__name__ == "BadInput"
    assert str(known) == "x=1: no"
    assert isinstance(dull, json.JSONDecodeError)
    assert str(dull) == "line 1"


UNGUARDED = """
import hydra

@hydra.main(version_base="1.3", config_path=None)
def main(cfg):
    return 1
{entry}
"""


@pytest.mark.parametrize("full_error", ["0", "1"])
def test_a_script_without_a_guard_is_refused_in_one_line(
    tmp_path: Path, full_error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", full_error)
    (tmp_path / "open.py").write_text(UNGUARDED.format(entry="main()"))

    swept = sweep(tmp_path, tmp_path / "open.py", "+x=1,2")

    assert swept.code == 2
    assert swept.err == (
        f"sweep: task file {tmp_path}/open.py runs its own entry when it is imported; "
        "put that below if __name__ == '__main__':\n"
    )


ENTRY = """
if __name__ == "__main__":
    from omegaconf import OmegaConf
    OmegaConf.register_new_resolver("own", lambda x: x)
    main()
"""


def test_a_resolver_that_workers_lack_is_named(tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text(UNGUARDED.format(entry=ENTRY))

    swept = sweep(tmp_path, tmp_path / "late.py", "+y=${own:3}")

    assert swept.code == 2
    assert "resolver 'own' is unknown to workers" in swept.err
    assert len(swept.err.splitlines()) == 1


EDITING = """
from pathlib import Path
import hydra

@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg):
    here = Path(__file__).parent / "conf"
    (here / "config.yaml").write_text("defaults: [group: b]\\nvalue: edited\\n")
    (here / "group" / "b.yaml").write_text("member: edited\\n")
    return cfg.value, cfg.group.member

if __name__ == "__main__":
    main()
"""


def test_edits_of_the_files_do_not_reach_later_trials(tmp_path: Path) -> None:
    (tmp_path / "conf" / "group").mkdir(parents=True)
    (tmp_path / "edit.py").write_text(EDITING)
    (tmp_path / "conf" / "config.yaml").write_text("defaults: [group: a]\nvalue: first\n")
    for name in ("a", "b"):
        (tmp_path / "conf" / "group" / f"{name}.yaml").write_text(f"member: {name}\n")

    swept = sweep(tmp_path, tmp_path / "edit.py", "group=a,b", "+n=1,2", *ONE_PACK)

    assert swept.code == 0, swept.err
    assert swept.values == [("first", "a"), ("first", "a"), ("first", "b"), ("first", "b")]


NOISY = """
import sys
import hydra
print("printed on import")
print("complained on import", file=sys.stderr)

@hydra.main(version_base="1.3", config_path=None)
def main(cfg):
    print("answer:", sys.stdin.read() or "nothing")
    return 1

if __name__ == "__main__":
    main()
"""


def test_what_a_module_prints_on_import_is_printed_once(tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(NOISY)

    swept = sweep(tmp_path, tmp_path / "noisy.py", "+x=1,2")

    assert swept.code == 0, swept.err
    assert swept.out.count("printed on import") == 1
    assert swept.err.count("complained on import") == 1
    assert swept.out.count("answer: nothing") == 2


BROKEN = """
import os
import hydra
if "warm" in " ".join(__import__("sys").argv):
    raise ZeroDivisionError("only here")

@hydra.main(version_base="1.3", config_path=None)
def main(cfg):
    return 1

if __name__ == "__main__":
    main()
"""


def test_a_module_that_only_workers_cannot_import_is_refused_with_its_traceback(
    tmp_path: Path,
) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)

    swept = sweep(tmp_path, tmp_path / "broken.py", "+x=1,2")

    assert swept.code == 2
    assert "the task cannot be loaded: ZeroDivisionError: only here" in swept.err.splitlines()[-1]
    assert 'raise ZeroDivisionError("only here")' in swept.err


CLOSURE = """
import os
import hydra

def make():
    @hydra.main(version_base="1.3", config_path=None)
    def task(cfg):
        print("in", os.getpid())
        if cfg.x == 2:
            raise SystemExit(4)
        return cfg.x
    return task

if __name__ == "__main__":
    print("client", os.getpid())
    make()()
"""


def test_a_closure_runs_in_the_client(tmp_path: Path) -> None:
    (tmp_path / "closure.py").write_text(CLOSURE)

    swept = sweep(tmp_path, tmp_path / "closure.py", "+x=1,2,3")

    pids = {line.split()[1] for line in swept.out.splitlines() if line.startswith(("in", "client"))}
    assert len(pids) == 1
    assert swept.out.count("in ") == 3
    assert swept.code == 1
    assert "the task left by sys.exit(4)" in swept.err
    assert not (tmp_path / "store").exists()


SPAWNING = """
import multiprocessing
import hydra

def double(x):
    return 2 * x

@hydra.main(version_base="1.3", config_path=None)
def main(cfg):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(double, [cfg.x])

if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("start", [("spawning.py",), ("-m", "inside.spawning")], ids=["file", "-m"])
def test_a_task_may_start_processes_that_import_its_module(
    tmp_path: Path, start: tuple[str, ...]
) -> None:
    (tmp_path / "inside").mkdir()
    for folder in (tmp_path, tmp_path / "inside"):
        (folder / "spawning.py").write_text(SPAWNING)

    swept = sweep(tmp_path, *start, "+x=1,2")

    assert swept.code == 0, swept.err
    assert swept.values == [[2], [4]]


def test_a_study_of_a_stranger_is_resumed(tmp_path: Path) -> None:
    first = careless(tmp_path, ["look", "raise"])

    again = subprocess.run(
        [sys.executable, "-m", "sweep", "resume", "s", "--store=store", "--rerun=failed"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert first.records[1].state is State.FAILED
    assert "Own: code 5: no more (5)" in again.stdout, again.stderr
    assert len(list((tmp_path / "store" / "s" / "rounds").iterdir())) == 2
    assert again.returncode == 1
