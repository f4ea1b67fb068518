"""A client may die at any moment: its workers end, and `resume` completes the study."""

import os
import re
import shlex
import signal

import pytest
from clients import Place, by_setting, finish, kill, wait_until

GRID = "x=range(0,7)"
SLOWLY = "epoch_s=0.05"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("undisturbed"))
    assert place.multirun(GRID).code == 0
    return place


def completed_as(undisturbed: Place, place: Place) -> bool:
    return by_setting(place.read()) == by_setting(undisturbed.read())


@pytest.mark.parametrize("ended", [0, 2, 4])
def test_a_killed_client_leaves_no_worker_and_a_study_that_resume_completes(
    place: Place, undisturbed: Place, ended: int
) -> None:
    client = place.start(GRID, SLOWLY)
    wait_until(lambda: place.planned() and len(place.ended()) >= ended)

    kill(client)

    wait_until(lambda: place.processes() == [], within_s=5)
    before = place.ended()
    assert len(before) < 7
    resumed = place.verb("resume", "s")
    assert resumed.code == 0, resumed.err
    assert place.ended() == list(range(7))
    assert all(place.begun()[trial] == 1 for trial in before)
    assert completed_as(undisturbed, place)


def test_a_study_may_be_killed_and_resumed_many_times(place: Place, undisturbed: Place) -> None:
    client = place.start(GRID, SLOWLY, "hydra.launcher.parallelism=1")
    for ended in (1, 3, 5):
        wait_until(lambda: len(place.ended()) >= ended)  # noqa: B023  called at once
        kill(client)
        wait_until(lambda: place.processes() == [], within_s=5)
        client = place.resume("--parallelism", "1")

    assert finish(client).code == 0
    assert place.ended() == list(range(7))
    assert completed_as(undisturbed, place)


def test_a_client_that_dies_before_its_plan_is_written_leaves_a_study_that_says_so(
    place: Place,
) -> None:
    assert place.multirun("x=1").code == 0
    (place.folder / "sweep-store/s/rounds/0001.json").unlink()

    resumed = place.verb("resume", "s")

    assert resumed.code == 2
    assert re.fullmatch(r"sweep: .*sweep-store/s.*\n", resumed.err)


@pytest.mark.parametrize("ended", [0, 2])
def test_ctrl_c_ends_with_130_and_tells_how_to_go_on(
    place: Place, undisturbed: Place, ended: int
) -> None:
    client = place.start(GRID, SLOWLY)
    wait_until(lambda: place.planned() and len(place.ended()) >= ended)

    os.killpg(client.pid, signal.SIGINT)

    interrupted = finish(client, within_s=20)
    assert interrupted.code == 130
    wait_until(lambda: place.processes() == [])
    line = re.fullmatch(
        r"sweep: interrupted: (\d+) of 7 trials are done and kept; go on by `python (.*)`\n",
        interrupted.err,
    )
    assert line, interrupted.err
    assert int(line[1]) == len(place.ended())
    resumed = place.python(*shlex.split(line[2]))
    assert resumed.code == 0, resumed.err
    assert place.ended() == list(range(7))
    assert completed_as(undisturbed, place)


def test_ctrl_c_while_a_study_is_summed_up_loses_nothing(place: Place) -> None:
    client = place.start("x=1,2", "crown_s=30")
    wait_until((place.folder / "crowning").exists)

    os.killpg(client.pid, signal.SIGINT)

    interrupted = finish(client, within_s=20)
    assert interrupted.code == 130
    assert "2 of 2 trials are done and kept; go on by" in interrupted.err


def test_a_client_that_is_told_to_stop_leaves_no_worker(place: Place) -> None:
    client = place.start(GRID, SLOWLY)
    wait_until(lambda: len(place.ended()) >= 1)

    client.send_signal(signal.SIGTERM)
    finish(client)

    wait_until(lambda: place.processes() == [], within_s=5)
    assert place.verb("resume", "s").code == 0
