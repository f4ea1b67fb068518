import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from running_server import RunningServer
from tracking_builders import make_record, make_study, make_summary, make_trial, make_trials

from sweep.tracking.entry import live_tags, millis, study_filter
from sweep.tracking.info import StudyInfo
from sweep.tracking.model import WinnerInfo, log_winner
from sweep.tracking.parent import open_parent
from sweep.tracking.publish import publish
from sweep.tracking.server import REST_S, Run, Tracker, open_tracker
from sweep.tracking.view import save_view

# MLflow's own queries: SQLAlchemy 2.1 deprecates what MLflow 3.17 uses
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]


class Clock:
    """A clock that a test can move ahead."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


def tracker_for(server: RunningServer) -> Tracker:
    return open_tracker(server.uri, experiment="shared")


def runs_of(tracker: Tracker, study: StudyInfo) -> list[Run]:
    return tracker.find(study_filter(study, role="trial"))


def test_publishing_twice_doubles_nothing(server: RunningServer) -> None:
    tracker, study = tracker_for(server), make_study("twice")
    trials, summary = make_trials(40, epochs=5), make_summary(metrics={"best": 0.1}, note="# Best")

    first = publish(tracker, study=study, trials=trials, summary=summary, over=True)
    second = publish(tracker, study=study, trials=trials, summary=summary, over=True)

    assert (first.written, first.complete) == (40, True)
    assert (second.written, second.unchanged, second.removed) == (0, 40, 0)
    assert len(runs_of(tracker, study)) == 40
    run = runs_of(tracker, study)[0]
    history = tracker.ask(lambda client: client.get_metric_history(run.id, "epoch/val_mse"))
    assert [point.step for point in history] == [1, 2, 3, 4, 5]


def test_a_server_that_was_away_is_filled_in_afterwards(server: RunningServer) -> None:
    clock = Clock()
    tracker = open_tracker(server.uri, experiment="shared", clock=clock)
    study, trials = make_study("outage"), make_trials(10)
    before = publish(tracker, study=study, trials=trials[:4])
    server.stop()
    during = publish(tracker, study=study, trials=trials[:7])
    server.start()

    clock.ahead = REST_S + 1
    after = publish(tracker, study=study, trials=trials, summary=make_summary(), over=True)

    assert (before.written, during.away, after.complete) == (4, True, True)
    shown = {int(run.tags["sweep.trial"]): run.status for run in runs_of(tracker, study)}
    assert shown == dict.fromkeys(range(10), "FINISHED")


def test_a_kill_while_publishing_leaves_nothing_that_the_next_one_does_not_mend(
    server: RunningServer,
) -> None:
    program = (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from tracking_builders import make_study, make_trials\n"
        "from sweep.tracking.publish import publish\n"
        "from sweep.tracking.server import open_tracker\n"
        f"tracker = open_tracker({server.uri!r}, experiment='shared')\n"
        "print(tracker.experiment_id, flush=True)\n"
        "publish(tracker, study=make_study('killed'), trials=make_trials(60))\n"
    )
    for seconds in (0.1, 0.3, 0.5):
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
    time.sleep(1)  # the server still answers what the dead had asked
    tracker, study = tracker_for(server), make_study("killed")
    left = [run for run in runs_of(tracker, study) if run.open]

    done = publish(tracker, study=study, trials=make_trials(60), over=True)

    assert left  # else the kills came too late to show anything
    assert done.complete
    runs = runs_of(tracker, study)
    assert sorted(int(run.tags["sweep.trial"]) for run in runs) == list(range(60))
    assert {run.status for run in runs} == {"FINISHED"}
    assert {run.metrics["best_epoch"] for run in runs} == {3.0}


def test_a_rebuilt_server_gets_the_same_runs(server: RunningServer) -> None:
    study, trials = make_study("rebuilt"), make_trials(3)
    first, second = (open_tracker(server.uri, experiment=name) for name in ("old", "new"))
    publish(first, study=study, trials=trials, summary=make_summary())

    done = publish(second, study=study, trials=trials, summary=make_summary(), over=True)

    assert done.written == 3

    def shown(tracker: Tracker) -> list[object]:
        keys = ("mlflow.parentRunId",)
        return sorted(
            (run.name, run.status, run.started_ms, dict(run.params), dict(run.metrics),
             {k: v for k, v in run.tags.items() if k not in keys})
            for run in runs_of(tracker, study)
        )  # fmt: skip

    assert shown(first) == shown(second)


def test_other_peoples_runs_in_the_same_experiment_are_left_alone(server: RunningServer) -> None:
    tracker, mine = tracker_for(server), make_study("demo")
    theirs = make_study("demo", started=mine.started - 100, user="bob")
    trial, record = make_trial(), make_record()
    tags = live_tags(theirs, trial=trial, record=record, parent=None)
    running = tracker.create(name=trial.name, tags=tags, started_ms=millis(record.started))
    plain = tracker.create(name="by hand", tags={}, started_ms=millis(record.started))

    publish(tracker, study=mine, trials=make_trials(3), summary=make_summary(), over=True)

    assert [run.status for run in runs_of(tracker, theirs)] == ["RUNNING"]
    for untouched in (running, plain):
        run = tracker.ask(lambda client, run=untouched: client.get_run(run))  # type: ignore[misc]
        assert run.info.lifecycle_stage == "active"


def test_the_view_is_accepted_and_served(server: RunningServer) -> None:
    tracker, study = tracker_for(server), make_study("viewed")

    path = save_view(tracker, study=study, params=["optim.lr"], curves=["val_mse"], trials=3)

    assert path is not None
    assert "viewStateShareKey" in path
    url = f"{server.uri}/api/2.0/mlflow/experiments/get?experiment_id={tracker.experiment_id}"
    with urllib.request.urlopen(url) as answer:
        tags = json.load(answer)["experiment"]["tags"]
    key = path.partition("viewStateShareKey=")[2].partition("&")[0]
    assert f"mlflow.sharedViewState.{key}" in {tag["key"] for tag in tags}


def test_the_winner_travels_through_the_server(server: RunningServer, tmp_path: Path) -> None:
    tracker, study = tracker_for(server), make_study("crowned")
    parent = open_parent(tracker, study=study)
    assert parent is not None
    winner = WinnerInfo(
        name="t0",
        files={"note.txt": b"any"},
        loader="opened:load",
        example={"temp": [1.0, 2.0]},
        outputs=["temp"],
        register="travelled",
    )
    (tmp_path / "opened.py").write_text(
        "import numpy as np\n"
        "class Opened:\n"
        "    def predict(self, table):\n"
        "        return np.array([[table['temp'][0] * 2]])\n"
        "def load(folder):\n"
        "    assert (folder / 'note.txt').is_file()\n"
        "    return Opened()\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        assert log_winner(tracker, study=study, parent=parent, winner=winner) is not None
    finally:
        sys.path.remove(str(tmp_path))

    program = (
        "import mlflow, pandas as pd\n"
        "model = mlflow.pyfunc.load_model('models:/travelled/1')\n"
        "print(model.predict(pd.DataFrame({'temp': [21.0]}))['temp'].tolist())\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=os.environ | {"MLFLOW_TRACKING_URI": server.uri},
    )
    assert answer.stdout.strip() == "[42.0]", answer.stderr
