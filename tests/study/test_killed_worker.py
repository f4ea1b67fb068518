"""A worker that dies costs the trial that it trained one more try, and the others nothing."""

import json
import os
import signal

import pytest
from clients import Place, finish, numbers, wait_until

from sweep.plan import layout
from sweep.plan.trial import State

GRID = "x=0,1,2,3"
ONE_PACK = ["hydra.launcher.pack.size=4", "hydra.launcher.parallelism=1"]


def test_a_worker_that_is_killed_by_hand_costs_one_retry_of_its_trial(place: Place) -> None:
    client = place.start(GRID, "fault=killed_by_hand", *ONE_PACK)
    wait_until((place.folder / "waiting").exists)

    (worker,) = place.workers()
    worker.send_signal(signal.SIGKILL)

    assert finish(client).code == 0
    first = min(place.begun(), key=lambda trial: -place.begun()[trial])
    assert place.begun() == {trial: 1 + (trial == first) for trial in range(4)}
    assert place.ended() == [0, 1, 2, 3]
    undisturbed = place.multirun(GRID, "fault=killed_by_hand", study="undisturbed")
    assert undisturbed.code == 0
    again = place.records("undisturbed")
    assert all(numbers(record) == numbers(again[n]) for n, record in place.records().items())


@pytest.mark.parametrize("size", [1, 4])
def test_every_trial_of_a_pack_may_lose_its_worker_once(place: Place, size: int) -> None:
    done = place.multirun(GRID, "fault=kill_once,none", f"hydra.launcher.pack.size={size}")

    assert done.code == 0
    assert place.begun() == {trial: 1 if trial % 2 else 2 for trial in range(8)}
    assert place.ended() == list(range(8))
    found = place.records()
    assert all(numbers(found[n]) == numbers(found[n + 1]) for n in range(0, 8, 2))


def test_a_trial_that_always_kills_its_worker_fails_and_the_rest_completes(place: Place) -> None:
    done = place.multirun(GRID, "fault=none,kill", "hydra.launcher.pack.size=4")

    found = place.records()
    assert done.code == 1
    assert [found[n].state for n in range(8)] == [State.COMPLETED, State.FAILED] * 4
    assert place.begun() == {trial: 3 if trial % 2 else 1 for trial in range(8)}
    error = found[1].error
    assert error is not None
    assert error.type == "Killed"
    assert "died 3 times" in error.text
    assert "memory" in error.remedy


def test_how_often_a_trial_may_kill_its_worker_is_a_setting(place: Place) -> None:
    done = place.multirun(
        "x=1,2", "fault=kill", "hydra.launcher.max_attempts=1", "hydra.launcher.max_failed=2"
    )

    assert done.code == 0  # within max_failed
    assert place.begun() == {0: 1, 1: 1}
    assert {record.state for record in place.records().values()} == {State.FAILED}


def test_a_parent_of_workers_that_is_killed_is_started_again(place: Place) -> None:
    client = place.start("x=range(0,12)", "epoch_s=0.05", "hydra.launcher.parallelism=2")
    wait_until(lambda: len(place.ended()) >= 2)

    place.parent().send_signal(signal.SIGKILL)

    assert finish(client).code == 0
    assert place.ended() == list(range(12))
    assert sum(place.begun().values()) <= 12 + 2


def test_baselines_that_cannot_be_measured_cost_no_trial(place: Place) -> None:
    done = place.multirun(GRID, "baselines_work=false")

    assert done.code == 0
    assert place.ended() == [0, 1, 2, 3]


def test_a_study_waits_for_baselines_that_take_longer_than_its_trials(place: Place) -> None:
    done = place.multirun("x=1,2", "baselines_s=1.5", "hydra.launcher.parallelism=2")

    assert done.code == 0
    assert "nine" in json.loads(place.store.at("s").read(layout.BASELINES))
    assert "nine" in done.out


def test_whoever_measures_baselines_may_be_killed_once(place: Place) -> None:
    done = place.multirun("x=1,2,3,4", "baselines_killed=true", "hydra.launcher.parallelism=2")

    assert done.code == 0
    assert (place.folder / "baselines-were-killed").exists()
    assert place.begun() == dict.fromkeys(range(4), 1)
    assert "nine" in json.loads(place.store.at("s").read(layout.BASELINES))


@pytest.mark.parametrize(("most", "code"), [(0, 1), (1, 1), (2, 0)])
def test_a_failure_that_trials_share_counts_once(place: Place, most: int, code: int) -> None:
    equal_in_effect = "epoch_s=0.001,0.002"

    done = place.multirun(
        "x=1,2", "fault=error,none", equal_in_effect, f"hydra.launcher.max_failed={most}"
    )

    assert sum(record.state is State.FAILED for record in place.records().values()) <= 2
    assert done.code == code


def test_a_winner_whose_scoring_is_killed_is_scored_by_the_client(place: Place) -> None:
    client = place.start("x=1,2", "crown_s=2")
    mark = place.folder / "crowning"
    wait_until(lambda: mark.exists() and mark.read_text() != "")
    scorer = int(mark.read_text())
    assert scorer in [worker.pid for worker in place.workers()]

    os.kill(scorer, signal.SIGKILL)

    assert finish(client).code == 0
    assert mark.read_text() == str(client.pid)
    kept = json.loads(place.store.at("s").read(layout.WINNER))
    assert [entry["trial"] for entry in kept] == [place.read().board().best.trials[0]]
