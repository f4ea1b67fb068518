"""A recording is a whole grid, however far it came."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from recordings import OURS
from replay.recording import FULL, SMALL, Taken, load, record

from sweep.search.space import Point

SETTING = {"grid": "small", "epochs": 2, "rows": 100}


def line(point: Point, seed: int) -> str:
    curve = {"val": [0.5, 0.4], "train": [0.5, 0.4], "cpu_s": [1.0, 1.0]}
    return json.dumps({**SETTING, "point": point, "seed": seed, **curve}) + "\n"


def every_small_point() -> list[Point]:
    return [SMALL.crossed(index) for index in range(SMALL.size or 0)]


def test_our_own_recording_is_whole() -> None:
    recording = load(OURS)

    assert recording.space == FULL
    assert recording.space.size == 240
    assert list(recording.seeds) == [0, 1, 2]
    assert recording.epochs == 9


def test_a_seed_that_is_not_complete_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "recording.jsonl"
    points = every_small_point()
    lines = [line(point, seed) for seed in (0, 1, 2, 3) for point in points]
    file.write_text("".join(lines[:-1]) + lines[-1][:40])  # cut off by a kill

    assert list(load(file).seeds) == [0, 1, 2]


def test_two_seeds_cannot_be_replayed(tmp_path: Path) -> None:
    file = tmp_path / "recording.jsonl"
    file.write_text("".join(line(point, seed) for point in every_small_point() for seed in (0, 1)))

    with pytest.raises(SystemExit, match="3 seeds"):
        load(file)


def test_what_was_never_recorded_is_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="nothing is recorded"):
        load(tmp_path / "recording.jsonl")


def recorded(file: Path, seeds: list[int], *, minutes: float = 5) -> Taken:
    return record(
        file, grid="small", seeds=seeds, epochs=1, rows=400, workers=1, minutes=minutes
    )  # fmt: skip


@pytest.mark.slow
def test_a_recording_goes_on_where_it_was_and_takes_more_seeds(tmp_path: Path) -> None:
    file = tmp_path / "recording.jsonl"

    nothing = recorded(file, [0], minutes=0)
    first = recorded(file, [0, 1])
    more = recorded(file, [2])

    assert (nothing.done, nothing.wanted) == (0, 32)
    assert (first.done, first.wanted) == (64, 64)
    assert (more.done, more.wanted) == (32, 32)
    assert load(file).seeds == [0, 1, 2]
    assert load(file).epochs == 1
