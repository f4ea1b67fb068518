"""Every mistake is one clear line and exit code 2, and nothing is written."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from sweep.__main__ import main

FORECAST = ["+experiment=forecast"]


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("SWEEP_STORE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


def run(words: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["sweep", *words])
    with pytest.raises(SystemExit) as left:
        main()
    assert isinstance(left.value.code, int)
    return left.value.code


def multirun(*words: str) -> list[str]:
    return [*FORECAST, *words, "-m"]


MISTAKES: dict[str, tuple[list[str], str]] = {
    "unknown key": (
        multirun("optim.lrr=0.1"),
        r"'optim\.lrr' does not exist; did you mean optim\.l",
    ),
    "unknown swept key": (
        multirun("model.hiden_size=3,4"),
        r"'model\.hiden_size'.*model\.hidden_size",
    ),
    "unknown added key": (multirun("+model.heads=3"), r"'model\.heads' does not exist"),
    "unknown group": (multirun("optimizer=adam"), r"optimizer"),
    "unknown experiment": (
        ["+experiment=forcast", "-m"],
        r"experiment=forcast: no such choice; did you mean forecast",
    ),
    "unknown guide": (multirun("guide=strat"), r"guide=strat: no such choice; did you mean start"),
    "unknown choice": (
        multirun("optim.name=adamm,sgd"),
        r"optim\.name=adamm: no such choice; there are 'adam'",
    ),
    "wrong type": (
        multirun("train.batch_size=big"),
        r"train\.batch_size=big: must be a valid integer",
    ),
    "wrong type in a grid": (
        multirun("train.epochs=3,4.5"),
        r"train\.epochs=4\.5: must be a valid integer",
    ),
    "a number as text": (
        multirun("optim.lr='0.1'"),
        r"optim\.lr=0\.1: must be a valid number \(got str",
    ),
    "no value": (multirun("optim.lr="), r"optim\.lr="),
    "empty range": (
        multirun("model.hidden_size=range(5,1)"),
        r"model\.hidden_size: the grid gives it no value",
    ),
    "an interval": (multirun("optim.lr=interval(0.1,1)"), r"a grid needs values, not an interval"),
    "too many trials": (
        multirun("train.seed=range(5700)"),
        r"102,600 trials, more than hydra\.sweeper\.max_trials=100,000",
    ),
    "more than asked for": (
        multirun("hydra.sweeper.max_trials=17"),
        r"18 trials, more than hydra\.sweeper\.max_trials=17",
    ),
    "negative units": (
        multirun("model.hidden_size=-50"),
        r"model\.hidden_size=-50: must be greater",
    ),
    "dropout of one": (
        multirun("model.dropout=0.5,1.0"),
        r"model\.dropout=1\.0: must be less than 1",
    ),
    "infinite rate": (multirun("optim.lr=inf"), r"optim\.lr=inf: must be"),
    "rate that is no number": (multirun("optim.lr=0.1,nan"), r"optim\.lr=nan: must be"),
    "window longer than the data": (multirun("data.lookback=9000"), r"data\.lookback"),
    "window longer than a part": (multirun("data.lookback=24,6100"), r"data\.lookback"),
    "settings that contradict": (
        multirun("optim.schedule.name=plateau"),
        r"optim\.schedule\.patience smaller",
    ),
    "split that does not add up": (
        multirun("data.split=[0.5,0.1,0.1]"),
        r"data\.split.*must add up to 1",
    ),
    "no such file": (multirun("data.path=absent.csv"), r"absent\.csv"),
    "no such column": (multirun("data.target=[heat]"), r"heat"),
    "no data chosen": (multirun("data=csv"), r"data\.(target|path)"),
    "other data": (multirun(f"data.sha256={'0' * 64}"), r"sha256|hash"),
    "unknown cluster": (
        multirun("hydra.launcher.cluster=slurm"),
        r"cluster=slurm: no such choice; there are auto, local, kubernetes",
    ),
    "unknown scheme": (
        multirun("hydra.launcher.store=s4://bucket"),
        r"store s4://bucket: unknown scheme 's4'",
    ),
    "store in a file": (
        multirun("hydra.launcher.store=/dev/null/store"),
        r"/dev/null is not a folder",
    ),
    "bad study name": (
        multirun("hydra.launcher.study=My_Study"),
        r"hydra\.launcher\.study=My_Study",
    ),
    "no packs": (multirun("hydra.launcher.pack.size=0"), r"hydra\.launcher\.pack\.size=0: must be"),
    "no workers": (
        multirun("hydra.launcher.parallelism=0"),
        r"hydra\.launcher\.parallelism=0: must be",
    ),
    "no attempts": (
        multirun("hydra.launcher.max_attempts=0"),
        r"hydra\.launcher\.max_attempts=0: must be",
    ),
    "negative failures": (
        multirun("hydra.launcher.max_failed=-1"),
        r"hydra\.launcher\.max_failed=-1: must be",
    ),
    "detached from itself": (
        multirun("hydra.launcher.detach=true", "hydra.launcher.cluster=local"),
        r"end with their client",
    ),
    "no budget": (multirun("hydra.launcher.budget.gpu_hours=0"), r"gpu_hours=0\S*: must be"),
    "a strange kind of code": (multirun("hydra.launcher.code=zip"), r"code=zip"),
    "no cluster at all": (
        multirun("hydra.launcher.cluster=kubernetes"),
        r"no Kubernetes cluster is configured here",
    ),
    "a word for a number": (multirun("hydra.launcher.parallelism=all"), r"parallelism"),
    "unknown launcher key": (multirun("hydra.launcher.paralelism=2"), r"paralelism"),
    "broken override": (multirun("optim.lr=[1"), r"optim\.lr=\[1"),
    "unknown tracking scheme": (multirun("tracking.uri=ftp://host"), r"ftp://host"),
    "condition of another form": (
        multirun("hydra.sweeper.conditional=[{if: 1}]"),
        r"hydra\.sweeper\.conditional: .* is not of the form",
    ),
    "condition on nothing": (
        multirun("hydra.sweeper.conditional=[{when: {optim.nme: sgd}, params: {optim.lr: 1}}]"),
        r"optim\.nme",
    ),
    "unknown verb": (["statsu"], r"verb 'statsu' does not exist; did you mean status"),
    "unknown flag": ([*FORECAST, "--nonsense"], r"--nonsense"),
    "overrides around a flag": (
        [*FORECAST, "--cfg", "job", "optim.lr=0.1"],
        r"optim\.lr=0\.1; overrides stand together",
    ),
    "unknown option": (["status", "--strore", "x"], r"--strore"),
    "study is missing": (["resume"], r"(?i)study"),
    "unknown study": (
        ["resume", "forecast-1"],
        r"study 'forecast-1' does not exist; there is none yet",
    ),
    "status of an unknown study": (["status", "forecast-1"], r"study 'forecast-1' does not exist"),
    "resume in an unknown scheme": (["resume", "x", "--store", "s4://b"], r"unknown scheme 's4'"),
    "plan of an unknown key": (["plan", *FORECAST, "optim.lrr=0.1"], r"'optim\.lrr'"),
    "plan of a bad value": (
        ["plan", *FORECAST, "model.dropout=1"],
        r"model\.dropout=1: must be less than 1",
    ),
    "plan of data that are too short": (
        ["plan", *FORECAST, "data.lookback=9000"],
        r"data\.lookback",
    ),
    "single trial, unknown key": ([*FORECAST, "optim.lrr=0.1"], r"'optim\.lrr'"),
    "single trial, bad value": (
        [*FORECAST, "model.hidden_size=-1"],
        r"model\.hidden_size=-1: must be",
    ),
    "grid without a multirun": ([*FORECAST, "optim.lr=0.1,0.2"], r"optim\.lr|-m|multirun"),
}


@pytest.mark.parametrize(("words", "line"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_and_nothing_is_started(
    words: list[str],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    code = run(words, monkeypatch)

    out, err = capfd.readouterr()
    assert (code, err.count("\n")) == (2, 1), err
    assert err.startswith("sweep: ")
    assert re.search(line, err), err
    assert out == ""
    assert list(tmp_path.iterdir()) == []
