import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from tracking_builders import make_study, make_summary, make_trials

from sweep.errors import BadInput
from sweep.tracking.parent import open_parent
from sweep.tracking.publish import publish
from sweep.tracking.server import REST_S, Tracker, open_tracker

# MLflow's own queries: SQLAlchemy 2.1 deprecates what MLflow 3.17 uses
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

NOBODY = "http://127.0.0.1:1"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_room_is_entered_without_importing_mlflow() -> None:
    modules = ["address", "entry", "info", "live", "model", "names", "parent", "publish"]
    modules += ["server", "source", "view"]
    program = "import sys\n" + "".join(f"import sweep.tracking.{name}\n" for name in modules)
    program += "print(sorted({'mlflow', 'torch', 'pandas', 'sqlalchemy'} & set(sys.modules)))"

    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert answer.stdout.strip() == "[]"


def test_a_dead_server_costs_little_and_raises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    tracker = open_tracker(NOBODY, experiment="forecast")
    before = time.monotonic()

    done = publish(tracker, study=make_study(), trials=make_trials(50), summary=make_summary())

    assert done.away
    assert not done.complete
    assert time.monotonic() - before < 2
    lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) == 1
    assert f"tracking {NOBODY}: no answer" in lines[0].getMessage()


def test_a_dead_server_is_left_alone_for_a_while() -> None:
    clock = Clock()
    tracker = open_tracker(NOBODY, experiment="forecast", clock=clock)
    open_parent(tracker, study=make_study())

    assert tracker.away
    clock.now = REST_S - 1
    assert tracker.away
    clock.now = REST_S + 1
    assert not tracker.away


def test_a_database_that_cannot_be_opened_is_away_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    tracker = open_tracker(f"sqlite:///{tmp_path}/file/mlflow.db", experiment="forecast")

    done = publish(tracker, study=make_study(), trials=make_trials(2))

    assert done.away


@contextmanager
def answering(code: int, text: bytes) -> Iterator[str]:
    """Answer every request alike, as what stands in front of MLflow does."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code)
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as site:
        thread = Thread(target=site.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{site.server_port}"
        site.shutdown()
        thread.join()


def test_a_web_page_in_place_of_mlflow_is_away() -> None:
    with answering(200, b"<html>Welcome</html>") as uri:
        tracker = open_tracker(uri, experiment="forecast")

        done = publish(tracker, study=make_study(), trials=make_trials(2))

    assert done.away
    assert not tracker.why_locked


@pytest.mark.parametrize(("code", "user"), [(401, ""), (401, "ann"), (403, "ann")])
def test_a_server_that_asks_for_a_password_is_told_apart_from_one_that_is_away(
    code: int, user: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME", raising=False)
    if user:
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", user)
    with answering(code, b"You are not authenticated.") as uri:
        tracker = open_tracker(uri, experiment="forecast")

        done = publish(tracker, study=make_study(), trials=make_trials(2))

    why = "it does not let user ann in" if user else "it asks for a password: set MLFLOW_TRACKING_"
    assert done.away, "what it lacks can be written later"
    assert why in tracker.why_locked
    (line,) = [r.getMessage() for r in caplog.records if r.name == "sweep.tracking"]
    assert why in line
    assert "no answer" not in line


@pytest.mark.slow
def test_a_server_that_never_answers_costs_fifteen_seconds_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        tracker = open_tracker(f"http://127.0.0.1:{silent.getsockname()[1]}", experiment="forecast")
        before = time.monotonic()

        done = publish(tracker, study=make_study(), trials=make_trials(50))
        again = publish(tracker, study=make_study(), trials=make_trials(50))

    assert done.away
    assert again.away
    assert time.monotonic() - before < 17


@pytest.mark.parametrize("uri", ["ftp://example.org/mlflow", "./mlruns", "htp://localhost:5000"])
def test_an_address_that_mlflow_does_not_know_is_a_mistake(uri: str) -> None:
    with pytest.raises(BadInput, match="MLflow cannot use this address"):
        open_tracker(uri, experiment="forecast")


def test_what_a_person_has_set_for_mlflow_stays() -> None:
    program = (
        "import os\n"
        "from sweep.tracking.server import open_tracker\n"
        f"open_tracker({NOBODY!r}, experiment='x')\n"
        "print(os.environ['MLFLOW_HTTP_REQUEST_TIMEOUT'], os.environ['MLFLOW_DISABLE_TELEMETRY'])"
    )

    answer = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"MLFLOW_HTTP_REQUEST_TIMEOUT": "99"},
    )

    assert answer.stdout.split() == ["99", "true"]


def test_files_that_cannot_be_kept_keep_no_result_back(
    tracker: Tracker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "mlruns").write_text("a file where MLflow wants a folder")
    summary = make_summary(files={"trials.csv": "trial\n"}, metrics={"best": 0.1})

    done = publish(tracker, study=make_study(), trials=make_trials(1), summary=summary)

    assert done.complete
    assert done.written == 1
    assert "files are not kept" in caplog.text
