import threading
import time
from collections.abc import Callable

import pytest
from tracking_builders import make_record, make_study, make_trial

from sweep.plan.trial import Record, State
from sweep.tracking.entry import study_filter
from sweep.tracking.live import LiveRuns
from sweep.tracking.publish import publish
from sweep.tracking.server import Run, Tracker, open_tracker

# MLflow's own queries: SQLAlchemy 2.1 deprecates what MLflow 3.17 uses
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

SOON_S = 0.05


def runs_of(tracker: Tracker) -> list[Run]:
    return tracker.find(study_filter(make_study(), role="trial"))


def wait_for(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def started_now(trial: int = 0) -> Record:
    return Record(trial, State.RUNNING, started=time.time())


def live_runs(tracker: Tracker, *, every_s: float = SOON_S) -> LiveRuns:
    return LiveRuns(tracker, study=make_study(), parent="parent", every_s=every_s)


def test_a_long_trial_is_shown_while_it_trains(tracker: Tracker) -> None:
    with live_runs(tracker) as live:
        live.begin(make_trial(), record=started_now())
        live.epoch(0, epoch=1, metrics={"val_mse": 0.5})

        wait_for(lambda: bool(runs_of(tracker)) and "epoch/val_mse" in runs_of(tracker)[0].metrics)

    (run,) = runs_of(tracker)
    assert run.status == "RUNNING"
    assert run.tags["sweep.state"] == "RUNNING"
    assert run.tags["mlflow.parentRunId"] == "parent"
    assert run.params["optim.lr"] == "0.001"


def test_a_short_trial_is_left_to_its_record(tracker: Tracker) -> None:
    with live_runs(tracker, every_s=30) as live:
        live.begin(make_trial(), record=started_now())
        live.epoch(0, epoch=1, metrics={"val_mse": 0.5})
        live.end(0)

    assert runs_of(tracker) == []


def test_the_record_completes_what_was_shown_live(tracker: Tracker) -> None:
    record = make_record(epochs=6, started=time.time(), finished=time.time() + 1)
    losses = record.history["val_mse"]
    with live_runs(tracker) as live:
        live.begin(make_trial(), record=Record(0, State.RUNNING, started=record.started))
        for epoch in (1, 2, 3):
            live.epoch(0, epoch=epoch, metrics={"val_mse": losses[epoch - 1] or 0.0})
        wait_for(lambda: bool(runs_of(tracker)) and "epoch/val_mse" in runs_of(tracker)[0].metrics)
        live.end(0)
    (shown,) = runs_of(tracker)

    publish(tracker, study=make_study(), trials=[(make_trial(), record)], parent="parent")

    (run,) = runs_of(tracker)
    assert run.id == shown.id
    assert run.status == "FINISHED"
    history = tracker.ask(lambda client: client.get_metric_history(run.id, "epoch/val_mse"))
    assert [point.step for point in history] == [1, 2, 3, 4, 5, 6]
    assert [point.value for point in history] == losses


def test_a_second_attempt_takes_the_place_of_the_first(tracker: Tracker) -> None:
    with live_runs(tracker) as live:
        live.begin(make_trial(), record=started_now())
        live.epoch(0, epoch=1, metrics={"val_mse": 0.5})
        wait_for(lambda: bool(runs_of(tracker)))
    (killed,) = runs_of(tracker)
    again = make_record(attempt=2, started=time.time(), finished=time.time() + 1)

    done = publish(tracker, study=make_study(), trials=[(make_trial(), again)])

    assert done.removed == 1
    (run,) = runs_of(tracker)
    assert run.id != killed.id
    assert run.tags["sweep.attempt"] == "2"


def test_training_never_waits_for_a_server_that_is_away() -> None:
    tracker = open_tracker("http://127.0.0.1:1", experiment="forecast")
    with live_runs(tracker) as live:
        live.begin(make_trial(), record=started_now())
        slowest = 0.0
        for epoch in range(1, 40):
            before = time.perf_counter()
            live.epoch(0, epoch=epoch, metrics={"val_mse": 0.5})
            slowest = max(slowest, time.perf_counter() - before)
            time.sleep(0.005)

    assert tracker.away
    assert slowest < 0.05


def test_no_thread_outlives_it(tracker: Tracker) -> None:
    before = threading.active_count()

    with live_runs(tracker):
        assert threading.active_count() == before + 1

    assert threading.active_count() == before
