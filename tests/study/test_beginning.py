"""A study that may be started twice is begun once."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.cli import run_verb
from sweep.errors import BadInput
from sweep.plan import layout
from sweep.plan.packing import Pack
from sweep.plan.round import Base, Round, Study
from sweep.plan.trial import Trial
from sweep.store import open_store
from sweep.study.beginning import begun
from sweep.study.opening import add_round, open_study

STUDY = Study(name="n", created=1.0, task="sweep.app:train", job="n")
BASE = Base((), {"optim": {"lr": 1}})
ONE = Round(number=1, bases=[BASE], trials=[Trial(0, 0, {})], packs=[Pack(0, (0,))])


def test_nothing_is_begun_in_an_empty_store(tmp_path: Path) -> None:
    assert not begun(open_store(str(tmp_path)), "n")


def test_a_study_with_a_plan_is_begun(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    add_round(open_study(store, STUDY), ONE)

    assert begun(store, "n")


def test_a_study_whose_client_died_before_its_plan_may_be_begun_anew(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    place = open_study(store, STUDY)

    assert not begun(store, "n")
    assert layout.STUDY not in place.sizes("")
    open_study(store, STUDY)  # and nothing is in its way


def test_a_name_that_no_study_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="at most 40 characters"):
        begun(open_store(str(tmp_path)), "N" * 41)


@pytest.mark.slow
def test_once_more_goes_on_with_the_study_instead_of_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEP_STORE", str(tmp_path / "store"))
    add_round(open_study(open_store(str(tmp_path / "store")), STUDY), ONE)
    line = b'{"trial": 0, "state": "INFEASIBLE", "attempt": 1}\n'
    open_store(str(tmp_path / "store")).at("n").write(layout.results_key(0, 1), line)

    code = run_verb(["once", "n", "+experiment=forecast", "hydra.launcher.cluster=local"])

    told = capsys.readouterr()
    assert "study n: every trial has a record; nothing to train" in told.out, told.err
    assert code == 0, told.err
