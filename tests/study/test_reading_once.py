"""Client and workers' parent read a study's data once each; workers are forked with them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from clients import UNTRACKED, Place, finish

# Python runs it at the start of every process; forks go on with it.
AUDIT = """
import os, sys

watched, log = os.environ["WATCHED"], os.environ["OPENED"]
said = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def note(event, arguments):
    if event == "open" and str(arguments[0]) == watched:
        os.write(said, f"{os.getpid()}\\n".encode())

sys.addaudithook(note)
"""
LSTM = ["+experiment=forecast", "guide=none", "data.time=time", "data.target=[a]"]
LSTM += ["data.covariates=[b]", "data.lookback=4", "data.horizon=2", "data.split=[60,20,20]"]
LSTM += ["train.epochs=1", "model.hidden_size=2"]


def test_a_study_of_four_workers_reads_its_file_twice(tmp_path: Path) -> None:
    data, opened, hooks = tmp_path / "own.csv", tmp_path / "opened", tmp_path / "hooks"
    rows = (
        f"2020-01-{1 + row // 24:02}T{row % 24:02}:00:00Z,{row},{row % 7}" for row in range(100)
    )
    data.write_text("\n".join(["time,a,b", *rows]) + "\n")
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(AUDIT)
    env = {"PYTHONPATH": str(hooks), "WATCHED": str(data), "OPENED": str(opened)}
    place = Place(tmp_path, env)

    client = place.start(
        *LSTM,
        f"data.path={data}",
        "train.seed=range(0,4)",
        "hydra.launcher.pack.size=1",
        "hydra.launcher.parallelism=2",
        task=UNTRACKED,
    )
    done = finish(client)

    assert done.code == 0, done.err
    assert place.ended() == [0, 1, 2, 3]
    reads = Counter(map(int, opened.read_text().split()))
    assert reads.pop(client.pid) == 1
    assert list(reads.values()) == [1]  # of the parent; the winner's scoring is forked from it too
