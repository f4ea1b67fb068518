"""A worker in a pod: a pack by the environment in, records and an exit code out."""

import json
from pathlib import Path

import pytest
from lives import (
    BEGUN,
    DONE,
    FRAIL,
    PAUSED,
    attempt,
    begun,
    lines,
    make_study,
    records,
    run,
    start,
    tell_to_stop,
    wait_until,
)

from sweep.plan import layout
from sweep.plan.exits import Exit
from sweep.plan.records import to_line
from sweep.plan.trial import Record, State


def test_every_trial_of_the_pack_is_begun_and_recorded(tmp_path: Path) -> None:
    place = make_study(tmp_path)

    code, _ = run(tmp_path)

    assert code == Exit.DONE
    assert records(place) == [(0, BEGUN), (0, DONE), (1, BEGUN), (1, DONE), (2, BEGUN), (2, DONE)]
    assert attempt(place, 1)["reason"] == "done"


def test_a_trial_that_fails_is_a_result(tmp_path: Path) -> None:
    place = make_study(tmp_path, fault="error")

    code, _ = run(tmp_path)

    assert code == Exit.DONE
    assert [state for _, state in records(place)[1::2]] == [State.FAILED] * 3
    assert len(place.sizes(layout.FAILURES)) == 3


def test_a_trial_that_exits_is_that_trial_s_failure(tmp_path: Path) -> None:
    place = make_study(tmp_path, fault="exit")

    code, _ = run(tmp_path)

    assert code == Exit.DONE
    error = lines(place)[1].error
    assert error is not None
    assert (error.type, error.text) == ("SystemExit", "exit(7)")


def test_the_next_attempt_begins_where_the_last_one_ended(tmp_path: Path) -> None:
    place = make_study(tmp_path)
    place.create(layout.attempt_key(0, 1), b'{"claimed": 0}')
    place.append(layout.results_key(0, 1), to_line(Record(0, DONE, 0.5)))
    place.append(layout.results_key(0, 1), to_line(Record(1, BEGUN)))

    code, _ = run(tmp_path)

    assert code == Exit.DONE
    assert records(place, 2) == [(1, BEGUN), (1, DONE), (2, BEGUN), (2, DONE)]


def test_a_trial_that_cost_all_its_attempts_fails_without_another(tmp_path: Path) -> None:
    place = make_study(tmp_path)
    for number in (1, 2):
        place.create(layout.attempt_key(0, number), b'{"claimed": 0}')
        place.append(layout.results_key(0, number), to_line(Record(1, BEGUN, attempt=number)))

    code, _ = run(tmp_path)

    assert code == Exit.DONE
    assert records(place, 3) == [(0, BEGUN), (0, DONE), (1, State.FAILED), (2, BEGUN), (2, DONE)]


def test_a_pack_whose_attempts_all_die_before_a_trial_is_given_up(tmp_path: Path) -> None:
    place = make_study(tmp_path)
    for number in (1, 2):
        place.create(layout.attempt_key(0, number), b'{"claimed": 0}')

    code, _ = run(tmp_path)

    assert code == Exit.PACK_FAILS


def test_two_workers_never_share_an_attempt(tmp_path: Path) -> None:
    place = make_study(tmp_path)

    workers = [start(tmp_path), start(tmp_path)]
    for worker in workers:
        worker.communicate(timeout=60)

    assert {worker.returncode for worker in workers} <= {Exit.DONE, Exit.TOLD_TO_STOP}  # fenced
    assert attempt(place, 2)["reason"] == "done"
    ended = {trial for number in (1, 2) for trial, state in records(place, number) if state is DONE}
    assert ended == {0, 1, 2}
    assert layout.attempt_key(0, 3) not in place.sizes(layout.PACKS)


def test_a_worker_that_is_told_to_stop_closes_its_attempt_and_leaves_its_trial(
    tmp_path: Path,
) -> None:
    place = make_study(tmp_path, epoch_s=30.0)
    worker = start(tmp_path)
    wait_until(begun(place), worker)

    code, _ = tell_to_stop(worker)

    assert code == Exit.TOLD_TO_STOP
    assert attempt(place, 1)["reason"] == "told to stop"
    assert records(place) == [(0, BEGUN), (0, PAUSED)]


def test_a_study_that_is_to_stop_cancels_what_has_not_begun(tmp_path: Path) -> None:
    place = make_study(tmp_path)
    place.create(layout.STOP, b"{}")

    code, _ = run(tmp_path)

    assert code == Exit.DONE
    assert records(place) == [(number, State.CANCELLED) for number in range(3)]


def test_a_store_that_cannot_be_written_ends_the_worker_and_is_nobody_s_fault(
    tmp_path: Path,
) -> None:
    place = make_study(tmp_path)
    (tmp_path / "store" / "s" / "packs").write_text("a file in the way")

    code, err = run(tmp_path)

    assert code == Exit.STORE_AWAY
    assert "restore the folder" in err
    assert "Traceback" not in err
    assert place.sizes("rounds/")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"SWEEP_STORE": ""}, "SWEEP_STORE is not set"),
        ({"SWEEP_STUDY": ""}, "SWEEP_STUDY is not set"),
        ({"SWEEP_STUDY": "other"}, "other/study.json does not exist"),
        ({"SWEEP_ROUND": "2"}, "rounds/0002.json does not exist"),
        ({"SWEEP_ROUND": "one"}, "SWEEP_ROUND"),
        ({"JOB_COMPLETION_INDEX": "1"}, "round 1 has 1 packs, none at 1"),
        ({"JOB_COMPLETION_INDEX": "-1"}, "none at -1"),
    ],
)
def test_where_nothing_can_run_one_line_says_why(
    tmp_path: Path, changes: dict[str, str], line: str
) -> None:
    make_study(tmp_path)

    code, err = run(tmp_path, **changes)

    assert code == Exit.NOTHING_RUNS
    assert err.startswith("sweep: ")
    assert err.count("\n") == 1
    assert line in err


@pytest.mark.parametrize("task", ["gone.py:frail", "gone:frail", f"{FRAIL}:gone"])
def test_a_task_that_cannot_be_loaded_is_named(tmp_path: Path, task: str) -> None:
    make_study(tmp_path, task=task)

    code, err = run(tmp_path)

    assert code == Exit.NOTHING_RUNS
    assert "gone" in err
    assert err.count("\n") == 1


def test_a_corrupt_plan_is_named(tmp_path: Path) -> None:
    make_study(tmp_path)
    (tmp_path / "store" / "s" / "rounds" / "0001.json").write_text("{}")

    code, err = run(tmp_path)

    assert code == Exit.NOTHING_RUNS
    assert "s/rounds/0001.json" in err


def test_a_plan_of_another_format_is_refused(tmp_path: Path) -> None:
    place = make_study(tmp_path)
    plan = json.loads(place.read(layout.round_key(1)))
    place.write(layout.round_key(1), json.dumps(plan | {"format": 2}).encode())

    code, err = run(tmp_path)

    assert code == Exit.NOTHING_RUNS
    assert "format 2, this version reads format 1; use the version of sweep that wrote it" in err


def test_a_record_tells_the_build_of_its_image(tmp_path: Path) -> None:
    place = make_study(tmp_path, trials=1)

    run(tmp_path, SWEEP_BUILD_ID="nightly-7")

    assert lines(place)[-1].versions["build"] == "nightly-7"
