"""`python -m sweep gate` through the real command line, night after night."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from clients import Ended, Place, finish, kill, wait_until

pytest.importorskip("scipy")

from sweep.plan import layout

HERE = "hydra.launcher.cluster=local"


def night(place: Place, name: str, *words: str) -> None:
    ended = place.multirun(*words, HERE, study=name)
    assert ended.code in (0, 1), ended.err


def gate(place: Place, name: str, *words: str) -> tuple[Ended, dict[str, Any]]:
    ended = place.verb("gate", name, "--json", *words)
    return ended, json.loads(ended.out) if ended.out else {}


@contextmanager
def listening(code: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Serve a webhook that answers with `code`, and collect what it is told."""
    told: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(code)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/secret", told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_first_night_passes_a_planted_regression_fails_and_a_repeat_passes(
    place: Place, tmp_path: Path
) -> None:
    night(place, "n1", "x=3,2")
    first, said_first = gate(place, "n1")
    night(place, "n2", "x=1")  # planted: (1 - 3)^2
    with listening(200) as (address, told):
        second, said = gate(place, "n2", "--webhook", address, "--output", "out")
    night(place, "n3", "x=3")
    third, said_third = gate(place, "n3")

    assert (first.code, said_first["verdict"]) == (0, "first")
    assert (second.code, said["verdict"]) == (4, "regression")
    assert said["champion"]["study"] == "n1"
    assert said["checks"][0]["low"] > 3
    assert (third.code, said_third["verdict"]) == (0, "no difference known")
    assert said_third["checks"][0]["worse"] == 0.0
    assert [body["verdict"] for body in told] == ["regression"]
    suite = ET.fromstring((tmp_path / "out" / "junit.xml").read_text().partition("\n")[2])
    assert suite.get("failures") == "1"
    assert "## Regression: n2" in (tmp_path / "out" / "gate.md").read_text()
    assert json.loads((tmp_path / "out" / "gate.json").read_text()) == said
    seeds = [said["seeds"], said_first["seeds"], said_third["seeds"]]
    assert len({seed for night in seeds for seed in night}) == 15
    best = place.read("n2").board().best
    assert best is not None
    assert best.values == {}  # what the gate trained does not compete


def test_a_gate_that_was_killed_goes_on_and_one_that_judged_says_the_same(place: Place) -> None:
    night(place, "n1", "x=3", "epoch_s=0.05")
    client = place._start(["-m", "sweep", "gate", "n1", "--parallelism", "1"])
    wait_until(lambda: len(place.ended("n1")) >= 3)
    kill(client)
    meant = place.store.at("n1").read(layout.CONTEST)
    before = place.ended("n1")

    again = finish(place._start(["-m", "sweep", "gate", "n1"]))
    once_more = finish(place._start(["-m", "sweep", "gate", "n1"]))

    assert again.code == once_more.code == 0
    assert "study n1 was judged already" in once_more.out
    assert place.store.at("n1").read(layout.CONTEST) == meant
    assert len(place.records("n1")) == 1 + 5
    assert set(before) <= set(place.ended("n1"))


def test_code_that_spoils_champion_and_winner_alike_is_a_regression(place: Place) -> None:
    night(place, "n1", "x=3")
    gate(place, "n1")
    key = f"n1/{layout.GATE}"
    before = json.loads(place.store.read(key))
    before["champion"]["code"]["git"] = "another"  # which had reached half a point less
    before["champion"]["scores"] = [[s, v - 0.5] for s, v in before["champion"]["scores"]]
    place.store.write(key, json.dumps(before).encode())
    night(place, "n2", "x=3")

    ended, said = gate(place, "n2")

    assert ended.code == 4
    assert said["checks"][0]["verdict"] == "no difference known"
    assert said["again"]["worse"] == pytest.approx(0.5)
    assert "trained again on the same data by tonight's code" in said["text"]
    assert len(place.records("n2")) == 1 + 5 + 5


def test_tonight_has_to_hold_against_each_of_the_last_nights(place: Place) -> None:
    for name, x in (("n1", 3), ("n2", 2), ("n3", 2.9)):
        night(place, name, f"x={x}")

    ended, said = gate(place, "n3", "--nights", "2")

    assert [check["name"] for check in said["checks"]] == [
        "tonight's winner against study n2",
        "tonight's winner against study n1",
    ]
    assert (ended.code, said["verdict"]) == (0, "no difference known")
    assert [check["verdict"] for check in said["checks"]] == ["promoted", "no difference known"]


def test_a_night_on_which_every_trial_diverged_is_a_regression(place: Place) -> None:
    night(place, "n1", "x=3", "fault=diverge")

    ended, said = gate(place, "n1")

    assert (ended.code, said["text"]) == (4, "Every trial of tonight diverged.")


def test_what_says_nothing_of_the_model_is_no_regression(place: Place) -> None:
    night(place, "n1", "x=3", "fault=error")

    for words, code, why in (
        (("n1",), 3, "no trial completed, and some failed"),
        (("n2",), 2, "study 'n2' does not exist"),
        (("n1", "--webhook", "ftp://x"), 2, "begins with https:// or http://"),
    ):
        ended = place.verb("gate", *words)

        assert ended.code == code
        assert why in ended.err
        assert "Traceback" not in ended.err


def test_a_gate_that_cannot_judge_tells_a_ci_so(place: Place, tmp_path: Path) -> None:
    night(place, "n1", "x=3", "fault=error")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "gate.json").write_text("{}")  # of the night before

    ended = place.verb("gate", "n1", "--output", "out")

    assert ended.code == 3
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"gate.md", "junit.xml"}
    suite = ET.fromstring((tmp_path / "out" / "junit.xml").read_text().partition("\n")[2])
    assert (suite.get("errors"), suite.get("failures")) == ("1", "0")
    (error,) = suite.iter("error")
    assert "no trial completed, and some failed" in (error.text or "")
    assert error.text in ended.err


def test_an_output_that_cannot_be_written_is_refused_before_anything_is_trained(
    place: Place, tmp_path: Path
) -> None:
    night(place, "n1", "x=3")
    taken = tmp_path / "taken"
    taken.write_text("of somebody else")
    nowhere = Path("/proc/sweep")  # where even root makes no folder
    before = place.begun("n1")

    for folder, why in (
        (taken, "File exists"),
        (taken / "below", "Not a directory"),
        (nowhere, "No such file or directory"),
    ):
        ended = place.verb("gate", "n1", "--output", str(folder))

        said = f"--output {folder}: {why}; name a folder that can be written"
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.count("\n") == 1
        assert said in ended.err
    assert taken.read_text() == "of somebody else"
    assert place.begun("n1") == before
    assert layout.GATE not in place.store.at("n1").sizes("")


@pytest.mark.slow
def test_the_champion_is_an_alias_in_mlflow(tmp_path: Path) -> None:
    from sweep.tracking.server import open_tracker

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    place = Place(tmp_path, {"MLFLOW_TRACKING_URI": uri, "SWEEP_WEBHOOK": "http://127.0.0.1:9/x"})
    register = "+tracking.register=hill"
    night(place, "n1", "x=2", register)
    first, _ = gate(place, "n1")
    night(place, "n2", "x=3", register)
    second, said = gate(place, "n2")

    assert "the webhook did not take the verdict" in first.err
    assert (first.code, second.code) == (0, 0)
    assert said["verdict"] == "promoted"
    assert said["checks"][0]["name"] == "tonight's winner against version 1 of hill"
    assert said["notes"] == ["version 2 of hill has the alias champion now"]
    tags = [
        run.tags for run in open_tracker(uri, experiment="frail").find("tags.`sweep.study` = 'n2'")
    ]
    assert sorted(t["sweep.purpose"] for t in tags if "sweep.trial" in t) == [
        *10 * ["gate"],
        "search",
    ]
    tracker = open_tracker(uri, experiment="frail")
    model = tracker.ask(lambda client: client.get_registered_model("hill"))
    assert {alias: int(n) for alias, n in model.aliases.items()} == {"champion": 2}
