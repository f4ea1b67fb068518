"""What is damaged in a store is named; records that are whole still count."""

import shutil
from pathlib import Path

import pytest
from clients import Place, numbers

SIX = "x=range(0,6)"
PACK = "sweep-store/s/packs/00000/results-1-0001.jsonl"


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a study of six trials in one pack, and another study."""
    place = Place(tmp_path_factory.mktemp("ended"))
    words = [SIX, "hydra.launcher.pack.size=6", "hydra.launcher.parallelism=1"]
    assert place.multirun(*words).code == 0
    assert place.multirun("x=2", study="other").code == 0
    return place.folder / "sweep-store"


@pytest.fixture
def whole(place: Place, ended: Path) -> Place:
    """The same, to be damaged."""
    shutil.copytree(ended, place.folder / "sweep-store")
    return place


def lines(place: Place) -> list[bytes]:
    return (place.folder / PACK).read_bytes().splitlines(keepends=True)


def put_back(place: Place, content: list[bytes]) -> None:
    (place.folder / PACK).write_bytes(b"".join(content))


def place_of_result(content: list[bytes], trial: int) -> int:
    marks = (f'{{"trial":{trial},'.encode(), b'"COMPLETED"')
    return next(i for i, line in enumerate(content) if all(mark in line for mark in marks))


def test_a_corrupt_record_is_named_and_its_trial_is_run_again(whole: Place) -> None:
    before = {trial: numbers(record) for trial, record in whole.records().items()}
    content = lines(whole)
    damaged = place_of_result(content, 3)
    content[damaged] = b"\x00" * 40 + content[damaged][40:]
    put_back(whole, content)

    told = whole.verb("status", "s")
    resumed = whole.verb("resume", "s")

    named = f"{PACK}, line {damaged + 1}"
    assert told.code == 0
    assert "5/6" in told.out
    assert told.out.count("corrupt record, left out:") == 1
    assert named in told.out
    assert resumed.code == 0, resumed.err
    assert named in resumed.out
    assert whole.begun() == {trial: 1 + (trial == 3) for trial in range(6)}
    assert {trial: numbers(record) for trial, record in whole.records().items()} == before


def test_a_torn_last_line_is_counted_and_its_trial_is_run_again(whole: Place) -> None:
    before = {trial: numbers(record) for trial, record in whole.records().items()}
    content = lines(whole)
    last = place_of_result(content, max(before))
    content[last] = content[last][: len(content[last]) // 2]
    put_back(whole, content[: last + 1])

    resumed = whole.verb("resume", "s")

    assert resumed.code == 0, resumed.err
    assert "1 records files end in the middle of a line, as a kill leaves them" in resumed.out
    assert {trial: numbers(record) for trial, record in whole.records().items()} == before


def damage(file: Path, how: str) -> None:
    if how == "absent":
        file.unlink()
    elif how == "cut":
        file.write_bytes(file.read_bytes()[:-20])
    elif how == "changed":
        file.write_bytes(file.read_bytes().replace(b'"x"', b'"y"', 1))
    else:
        file.write_bytes(b"\x00" * 100)


@pytest.mark.parametrize("how", ["cut", "changed", "zeros"])
def test_a_corrupt_plan_is_refused_and_named_with_its_path(whole: Place, how: str) -> None:
    damage(whole.folder / "sweep-store/s/rounds/0001.json", how)

    resumed = whole.verb("resume", "s")
    told = whole.verb("status", "s")
    told_of_all = whole.verb("status")

    path = f"{whole.folder}/sweep-store/s/rounds/0001.json"
    for refused in (resumed, told):
        assert refused.code == 2
        assert refused.err.startswith("sweep: ")
        assert refused.err.count("\n") == 1
        assert path in refused.err
    assert told_of_all.code == 0
    assert path in told_of_all.err
    assert "other" in told_of_all.out
    assert len(whole.ended()) == 6  # nothing was trained


@pytest.mark.parametrize("how", ["cut", "zeros", "absent"])
def test_a_corrupt_study_is_refused_and_named(whole: Place, how: str) -> None:
    damage(whole.folder / "sweep-store/s/study.json", how)

    resumed = whole.verb("resume", "s")

    assert resumed.code == 2
    assert resumed.err.count("\n") == 1
    named = "study 's' does not exist" if how == "absent" else "sweep-store/s/study.json"
    assert named in resumed.err


def test_a_lost_first_round_is_named(place: Place) -> None:
    assert place.multirun("x=1,2", "fault=none,error").code == 1
    assert place.verb("resume", "s", "--rerun", "failed").code == 1
    (place.folder / "sweep-store/s/rounds/0001.json").rename(place.folder / "lost.json")

    resumed = place.verb("resume", "s")

    assert resumed.code == 2
    assert "rounds/0001.json does not exist" in resumed.err
