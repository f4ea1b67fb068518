"""Workers run the code that a study was shipped with, and no other."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from lives import CONFIG, FRAIL, run

import sweep
from sweep.cluster import Work
from sweep.cluster.local import LocalCluster
from sweep.plan import layout, shared
from sweep.plan.bundle import File, make_bundle
from sweep.plan.exits import Exit
from sweep.plan.packing import Pack
from sweep.plan.records import lines_of
from sweep.plan.round import Base, Round, Study, round_hash
from sweep.plan.trial import Record, State, Trial
from sweep.store import Store, open_store
from sweep.study.opening import add_round, open_study

SHIPPED = {"shipped/__init__.py": b"", "shipped/task.py": FRAIL.read_bytes()}
PACKAGE = Path(sweep.__file__).parent
EDITED = "0.0.edited"


def own_package() -> dict[str, bytes]:
    """Copy our own package, edited."""
    files = {
        f"sweep/{path.relative_to(PACKAGE).as_posix()}": path.read_bytes()
        for path in PACKAGE.rglob("*.py")
        if "plugins" not in path.relative_to(PACKAGE).parts
    }
    files["sweep/__init__.py"] += f'__version__ = "{EDITED}"\n'.encode()
    return files


def make_study(folder: Path, files: Mapping[str, bytes], *, task: str) -> Store:
    """Write a study of one pack of two trials, whose code is these files alone."""
    bundle = make_bundle([File(name, data) for name, data in files.items()])
    store = open_store(str(folder / "store"))
    store.create(shared.bundle_key(bundle.sha256), bundle.data)
    study = Study(
        name="s",
        created=0.0,
        task=f"{task.partition(':')[0]}-as-the-client-calls-it:frail",
        job="frail",
        directory="/a/folder/of/the/client",
        facts={"code": {"bundle": bundle.sha256, "task": task}},
    )
    place = open_study(store, study)
    add_round(place, a_round())
    return place


def a_round(number: int = 1, *, pack: int = 0) -> Round:
    return Round(
        number=number,
        bases=[Base((), CONFIG)],
        trials=[Trial(trial, 0, {"x": float(trial)}) for trial in range(2)],
        packs=[Pack(pack, (0, 1))],
    )


def work(folder: Path, number: int) -> Work:
    return Work(
        store=str(folder / "store"),
        study="s",
        round=number,
        round_hash=round_hash(a_round(number, pack=number - 1)),
        packs=[number - 1],
        task="script.py:frail",
        max_attempts=3,
        tracking="",
        code="",
    )


def ended(place: Store, pack: int = 0) -> list[State]:
    return [record.state for record in records_of(place, pack) if record.state.terminal]


def records_of(place: Store, pack: int = 0) -> list[Record]:
    data = place.read(layout.results_key(pack, 1))
    return [line.record for line in lines_of(data, where="r", attempt=1, part=1)[0]]


@pytest.mark.parametrize(
    ("files", "task"),
    [
        (SHIPPED, "shipped.task:frail"),
        ({"script.py": SHIPPED["shipped/task.py"]}, "script.py:frail"),
    ],
)
def test_a_worker_runs_code_that_its_machine_does_not_have(
    tmp_path: Path, files: Mapping[str, bytes], task: str
) -> None:
    place = make_study(tmp_path, files, task=task)

    code, err = run(tmp_path)

    assert code == Exit.DONE, err
    assert ended(place) == [State.COMPLETED] * 2


def test_what_a_task_starts_finds_the_code_too(tmp_path: Path) -> None:
    child = b"import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import shipped'])\n"
    check = child.replace(b"'import shipped'])", b"'import shipped'], check=True)")
    files = {**SHIPPED, "shipped/task.py": SHIPPED["shipped/task.py"] + check}
    place = make_study(tmp_path, files, task="shipped.task:frail")

    code, err = run(tmp_path)

    assert code == Exit.DONE, err
    assert ended(place) == [State.COMPLETED] * 2


def test_the_bundle_goes_before_code_of_that_name_on_the_machine(tmp_path: Path) -> None:
    (tmp_path / "old" / "shipped").mkdir(parents=True)
    (tmp_path / "old" / "shipped" / "__init__.py").write_text("raise SystemExit('the old one')")
    place = make_study(tmp_path, SHIPPED, task="shipped.task:frail")

    code, err = run(tmp_path, PYTHONPATH=str(tmp_path / "old"))

    assert code == Exit.DONE, err
    assert ended(place) == [State.COMPLETED] * 2


def test_an_edited_trainer_runs_without_a_new_image(tmp_path: Path) -> None:
    files = {**own_package(), "script.py": SHIPPED["shipped/task.py"]}
    place = make_study(tmp_path, files, task="script.py:frail")

    code, err = run(tmp_path)

    assert code == Exit.DONE, err
    assert ended(place) == [State.COMPLETED] * 2
    assert {record.versions["sweep"] for record in records_of(place)} == {EDITED}


def test_nothing_of_the_code_is_left_on_the_machine(tmp_path: Path) -> None:
    files = {**own_package(), "script.py": SHIPPED["shipped/task.py"]}
    make_study(tmp_path, files, task="script.py:frail")
    (tmp_path / "scratch").mkdir()

    run(tmp_path, TMPDIR=str(tmp_path / "scratch"))

    assert not list((tmp_path / "scratch").glob("sweep-code-*"))


def test_code_that_was_changed_in_the_store_is_refused(tmp_path: Path) -> None:
    place = make_study(tmp_path, SHIPPED, task="shipped.task:frail")
    evil = make_bundle([File("shipped/task.py", b"raise SystemExit('run')")])
    key = next(iter(open_store(str(tmp_path / "store")).sizes(shared.ROOT)))
    open_store(str(tmp_path / "store")).write(key, evil.data)

    code, err = run(tmp_path)

    assert code == Exit.NOTHING_RUNS
    assert f"{key}: its content does not match the hash in the plan" in err
    assert err.count("\n") == 1
    assert place.sizes("packs/") == {}


def test_code_that_is_gone_is_named(tmp_path: Path) -> None:
    make_study(tmp_path, SHIPPED, task="shipped.task:frail")
    store = open_store(str(tmp_path / "store"))
    for key in store.sizes(shared.ROOT):
        store.delete(key)

    code, err = run(tmp_path)

    assert code == Exit.NOTHING_RUNS
    assert "does not exist; start the multirun again" in err
    assert err.count("\n") == 1


def test_a_job_knows_which_code_it_was_made_for(tmp_path: Path) -> None:
    make_study(tmp_path, SHIPPED, task="shipped.task:frail")

    code, err = run(tmp_path, SWEEP_CODE="0" * 64)

    assert code == Exit.NOTHING_RUNS
    assert f"its Job {'0' * 64}" in err
    assert err.count("\n") == 1


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    cluster = LocalCluster(workers=2)
    yield cluster
    cluster.stop(1.0)


@pytest.mark.parametrize("own", [False, True])
def test_workers_of_this_machine_run_the_bundle_too(
    tmp_path: Path, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    files = {**(own_package() if own else {}), "script.py": SHIPPED["shipped/task.py"]}
    place = make_study(tmp_path, files, task="script.py:frail")
    add_round(place, a_round(2, pack=1))

    for number in (1, 2):
        cluster.submit(work(tmp_path, number))
        while not cluster.finished:
            cluster.observe(1.0)

    for pack in (0, 1):
        assert ended(place, pack) == [State.COMPLETED] * 2
        found = {record.versions["sweep"] for record in records_of(place, pack)}
        assert found == {EDITED if own else sweep.__version__}
    assert "script" not in sys.modules
