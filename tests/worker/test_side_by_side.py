"""A pod trains as many trials at a time as it has processors, and fewer when one kills it."""

import json
import os
import signal
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from lives import (
    BEGUN,
    DONE,
    PAUSED,
    attempt,
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
from sweep.plan.round import round_hash
from sweep.plan.trial import Record, State
from sweep.store import Store
from sweep.study.reading import read_round

pytestmark = pytest.mark.slow  # real pods' workers, some of which wait

TWO = {"SWEEP_WIDTH": "2"}


def parts(place: Store, number: int = 1) -> int:
    files = [layout.results_of(key) for key in place.sizes(layout.PACKS)]
    return len([file for file in files if file and file.attempt == number and file.part])


def side_by_side(found: list[Record]) -> int:
    """Count how many trials of an attempt ran at once at most."""
    ended = {record.trial: record for record in found if record.state.terminal}
    return max(
        sum(other.started <= record.started < other.finished for other in ended.values())
        for record in ended.values()
    )


def unclosed(place: Store, attempts: int) -> None:
    """Leave attempts that ended without a word, each while trials 0 and 1 ran."""
    for number in range(1, attempts + 1):
        place.create(layout.attempt_key(0, number), b'{"claimed": 0}')
        for part in (1, 2):
            key = layout.results_key(0, number, part)
            place.append(key, to_line(Record(part - 1, BEGUN, attempt=number)))


def test_trials_run_side_by_side_and_each_child_writes_its_own_part(tmp_path: Path) -> None:
    place = make_study(tmp_path, trials=6, epoch_s=0.1)

    code, _ = run(tmp_path, **TWO)

    found = lines(place)
    assert code == Exit.DONE
    assert sorted(r.trial for r in found if r.state is DONE) == list(range(6))
    assert parts(place) == 2
    assert side_by_side(found) == 2
    assert attempt(place, 1)["cpus"] == 2


def test_no_more_children_are_forked_than_there_are_trials(tmp_path: Path) -> None:
    place = make_study(tmp_path, trials=1)

    run(tmp_path, SWEEP_WIDTH="8")

    assert parts(place) == 1


def test_trials_are_begun_in_the_order_of_the_pack(tmp_path: Path) -> None:
    place = make_study(tmp_path, trials=6, epoch_s=0.05)

    run(tmp_path, **TWO)

    marks = sorted((r.started, r.trial) for r in lines(place) if r.state is BEGUN)
    order = [trial for _, trial in marks]
    assert all(abs(place_ - trial) <= 1 for place_, trial in enumerate(order))


def test_a_trial_whose_child_is_killed_once_is_trained_again(tmp_path: Path) -> None:
    place = make_study(tmp_path, trials=4, fault="kill_once")

    code, err = run(tmp_path, **TWO)

    found = lines(place)
    assert code == Exit.DONE
    assert sorted(r.trial for r in found if r.state is DONE) == [0, 1, 2, 3]
    deaths = [r for r in found if r.state is PAUSED]
    assert sorted(r.trial for r in deaths) == [0, 1, 2, 3]
    assert {r.error.type for r in deaths if r.error} == {"Killed"}
    assert "going on with 1 trials at a time" in err
    assert attempt(place, 1)["reason"] == "done"


def test_the_processor_s_time_of_a_killed_child_is_known(tmp_path: Path) -> None:
    place = make_study(tmp_path, trials=1, fault="kill_once", epoch_s=0.0)

    run(tmp_path, **TWO)

    (death,) = [r for r in lines(place) if r.state is PAUSED]
    assert 0 < death.attempt_cpu_seconds < 10


def test_a_trial_that_always_kills_its_child_fails_and_the_others_complete(
    tmp_path: Path,
) -> None:
    place = make_study(tmp_path, trials=3, task=f"{one_hungry(tmp_path)}:frail", epoch_s=0.05)

    code, _ = run(tmp_path, **TWO)

    ended = {r.trial: r for r in lines(place) if r.state.terminal}
    assert code == Exit.DONE
    assert [ended[trial].state for trial in range(3)] == [DONE, State.FAILED, DONE]
    assert ended[1].error is not None
    assert ended[1].error.type == "Killed"
    assert len(place.sizes(layout.FAILURES)) == 1


def one_hungry(folder: Path) -> Path:
    """An application whose trial of x=1 always dies for memory."""
    from lives import FRAIL

    path = folder / "hungry_one.py"
    path.write_text(
        f"""
import sys
from dataclasses import replace
sys.path.insert(0, {str(FRAIL.parent)!r})
import frail as known

def run(tree, on_epoch):
    return known.run({{**tree, "fault": "kill" if tree["x"] == 1 else "none"}}, on_epoch)

def frail(cfg): ...

frail.sweep_application = replace(known.frail.sweep_application, run=run)
"""
    )
    return path


@pytest.mark.parametrize(("attempts", "most"), [(1, 4), (2, 2), (3, 1)])
def test_after_two_attempts_without_a_word_fewer_trials_run_at_a_time(
    tmp_path: Path, attempts: int, most: int
) -> None:
    place = make_study(tmp_path, trials=6, epoch_s=0.1)
    unclosed(place, attempts)

    code, _ = run(tmp_path, SWEEP_WIDTH="4")

    found = lines(place, attempts + 1)
    assert code == Exit.DONE
    assert side_by_side(found) == parts(place, attempts + 1) == most
    assert {r.state for r in found} == {BEGUN, DONE}  # nobody is to blame for a shared death


def test_told_to_stop_all_children_stop_and_the_attempt_is_closed(tmp_path: Path) -> None:
    place = make_study(tmp_path, trials=4, epoch_s=30.0)
    worker = start(tmp_path, **TWO)
    wait_until(lambda: len(records(place)) == 2, worker)

    before = time.monotonic()
    code, err = tell_to_stop(worker)

    assert code == Exit.TOLD_TO_STOP
    assert time.monotonic() - before < 10
    assert attempt(place, 1)["reason"] == "told to stop"
    assert sorted(records(place)) == [(0, PAUSED), (0, BEGUN), (1, PAUSED), (1, BEGUN)]
    assert "sweep: told to stop" in err
    assert "sweep: told to stop" in place.read(layout.log_key(0)).decode()


def test_a_child_that_does_not_listen_is_killed_within_the_grace(tmp_path: Path) -> None:
    path = tmp_path / "deaf.py"
    path.write_text(one_hungry(tmp_path).read_text().replace("def run(", DEAF + "\ndef run("))
    place = make_study(tmp_path, trials=2, task=f"{path}:frail")
    worker = start(tmp_path, SWEEP_GRACE_S="3", **TWO)
    wait_until(lambda: len(list(tmp_path.glob("deaf-*"))) == 2, worker)

    before = time.monotonic()
    code, _ = tell_to_stop(worker)

    assert code == Exit.TOLD_TO_STOP
    assert time.monotonic() - before < 3
    assert attempt(place, 1)["reason"] == "told to stop"


DEAF = """
import signal, time
from pathlib import Path

def deaf(tree):
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    Path(f"deaf-{tree['x']}").touch()
    time.sleep(60)

known.run = lambda tree, on_epoch: deaf(tree)
"""


def test_children_end_with_their_parent_however_it_went(tmp_path: Path) -> None:
    place = make_study(tmp_path, trials=2, epoch_s=30.0)
    worker = start(tmp_path, **TWO)
    wait_until(lambda: len(records(place)) == 2, worker)
    family = psutil.Process(worker.pid).children()

    os.kill(worker.pid, signal.SIGKILL)
    worker.communicate()

    _gone, alive = psutil.wait_procs(family, timeout=10)
    assert not alive


def test_what_a_pod_prints_is_shown_and_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "chatty.py"
    chatty = 'print("x" * 99, flush=True) or print("said by", tree["x"])\n    return known.run({'
    path.write_text(one_hungry(tmp_path).read_text().replace("return known.run({", chatty))
    path.write_text(path.read_text().replace('"kill" if', '"none" if'))
    place = make_study(tmp_path, trials=2, task=f"{path}:frail")

    code, err = run(tmp_path, **TWO)

    kept = place.read(layout.log_key(0)).decode()
    assert code == Exit.DONE
    for text in (kept, err):
        assert "said by 0.0" in text
        assert "said by 1.0" in text


def test_a_round_of_another_hash_is_refused(tmp_path: Path) -> None:
    place = make_study(tmp_path)
    right = round_hash(read_round(place, 1))

    code, err = run(tmp_path, SWEEP_ROUND_HASH="0" * 64)
    again, _ = run(tmp_path, SWEEP_ROUND_HASH=right)

    assert code == Exit.NOTHING_RUNS
    assert err.startswith("sweep: ")
    assert err.count("\n") == 1
    assert right in err
    assert again == Exit.DONE
    assert layout.attempt_key(0, 2) not in place.sizes(layout.PACKS)


def test_a_newer_attempt_of_the_pack_ends_an_older_one(tmp_path: Path) -> None:
    place = make_study(tmp_path, trials=2, epoch_s=30.0)
    worker = start(tmp_path, **TWO)
    wait_until(lambda: len(records(place)) == 2, worker)

    place.create(layout.attempt_key(0, 2), b'{"claimed": 0}')
    _, err = worker.communicate(timeout=30)

    assert worker.returncode == Exit.TOLD_TO_STOP
    assert attempt(place, 1)["reason"] == "fenced by attempt 2"
    assert layout.log_key(0) not in place.sizes(layout.PACKS)
    assert "sweep: fenced by attempt 2" in err
    assert {state for _, state in records(place)} == {BEGUN}


def test_no_client_of_kubernetes_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "nosy.py"
    nosy = one_hungry(tmp_path).read_text()
    nosy = nosy.replace(
        "    return known", "    assert 'kubernetes' not in sys.modules\n    return known"
    )
    path.write_text(nosy.replace('"kill" if', '"none" if'))
    place = make_study(tmp_path, trials=2, task=f"{path}:frail")

    code, _ = run(tmp_path, **TWO)

    assert code == Exit.DONE
    assert {state for _, state in records(place)} == {BEGUN, DONE}


def test_mlflow_that_is_away_never_stops_training(tmp_path: Path) -> None:
    from dataclasses import replace

    from sweep.plan.round import study_to_bytes
    from sweep.study.reading import read_study

    place = make_study(tmp_path, trials=2)
    told = {"uri": "http://people.invalid", "experiment": "e", "children": "all"}
    place.write(layout.STUDY, study_to_bytes(replace(read_study(place), tracking=told)))
    place.write(layout.PARENT_RUN, json.dumps({"id": "0" * 32}).encode())

    code, _ = run(tmp_path, MLFLOW_TRACKING_URI="http://127.0.0.1:9", **TWO)

    assert code == Exit.DONE
    assert sorted(r.trial for r in lines(place) if r.state is DONE) == [0, 1]
