"""The verbs plan, status and resume, on studies written by hand and by the command."""

import json
from pathlib import Path

import pytest

from sweep.cli import run_verb
from sweep.errors import SweepError
from sweep.plan import layout
from sweep.plan.packing import Pack
from sweep.plan.records import to_line
from sweep.plan.round import Base, Round, Study
from sweep.plan.trial import Failure, Record, State, Trial
from sweep.store import Store, open_store
from sweep.study.opening import add_round, open_study

PLAN = ["plan", "+experiment=forecast"]


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("SWEEP_STORE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


def make_study(folder: Path, *records: Record, name: str = "s") -> Store:
    """Write a study of four trials, of which the last has the effect of the first."""
    store = open_store(str(folder / "sweep-store"))
    study = Study(name=name, created=1.0, task="sweep.app:train", job="s", objective="val_mse")
    trials = [Trial(number, 0, {"optim.lr": 0.1 * number}) for number in range(3)]
    twin = Trial(3, 0, {"optim.lr": 0.0}, same_as=0)
    round_ = Round(
        number=1, bases=[Base((), {"optim": {"lr": 1}})], trials=[*trials, twin],
        packs=[Pack(0, (0, 1, 2))],
    )  # fmt: skip
    place = open_study(store, study)
    add_round(place, round_)
    if records:
        place.append(layout.results_key(0, 1), b"".join(map(to_line, records)))
    return place


def completed(trial: int, objective: float) -> Record:
    return Record(trial, State.COMPLETED, objective)


def output(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run_verb(list(words)) == 0
    return capsys.readouterr().out


def test_a_plan_tells_its_size_its_cost_and_its_ends(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = output(capsys, *PLAN, "train.epochs=7")

    assert "trials   18, in " in out
    assert "  model.num_layers: 1, 2\n" in out
    assert "at most 126 trial-epochs, " in out
    assert "FLOP of training" in out
    assert "first    trial 0: model.hidden_size=50 model.num_layers=1 optim.lr=0.0001" in out
    assert "last     trial 17: model.hidden_size=200 model.num_layers=2 optim.lr=0.01" in out
    assert "nothing was written or started" in out
    assert list(tmp_path.iterdir()) == []


def test_a_plan_takes_the_main_job_s_words_with_or_without_its_flag(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["optim.lr=0.1,0.2", "guide=none"]

    assert output(capsys, *PLAN, *words) == output(capsys, *PLAN, *words, "-m")


def test_a_plan_counts_the_trials_that_differ_in_effect(capsys: pytest.CaptureFixture[str]) -> None:
    out = output(capsys, *PLAN, "guide=none", "model.num_layers=1,2", "model.dropout=0.1,0.2,0.3")

    assert "trials   6, 4 distinct in effect, in " in out


@pytest.mark.parametrize(
    ("condition", "trials"),
    [
        ("{when: {optim.name: sgd}, params: {optim.lr: '1,2,3'}}", 4),
        ("{when: {train.patience: 5}, params: {optim.lr: '1,2,3'}}", 6),
        ("{when: {train.patience: 6}, params: {optim.lr: '1,2,3'}}", 2),
        ("{when: {optim.clip_norm: null}, params: {optim.lr: '1,2,3'}}", 2),
    ],
)
def test_a_condition_looks_at_values_however_they_are_written(
    capsys: pytest.CaptureFixture[str], condition: str, trials: int
) -> None:
    words = ["guide=none", "optim.name=adam,sgd", "train.patience=5", "train.epochs=9"]

    out = output(capsys, *PLAN, *words, f"hydra.sweeper.conditional=[{condition}]")

    assert f"trials   {trials}, " in out


@pytest.mark.parametrize("rate", ["0.001", "1e-3", "1.0e-3"])
def test_a_condition_on_a_number_meets_each_way_of_writing_it(
    capsys: pytest.CaptureFixture[str], rate: str
) -> None:
    condition = "{when: {optim.lr: 0.001}, params: {train.seed: '0,1,2'}}"

    out = output(
        capsys,
        *PLAN,
        "guide=none",
        f"optim.lr={rate},0.1",
        f"hydra.sweeper.conditional=[{condition}]",
    )

    assert "trials   4, " in out


def test_the_status_of_a_store_is_a_row_a_study(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    make_study(tmp_path, completed(0, 0.5), completed(1, 0.25), completed(2, 0.75))
    make_study(tmp_path, completed(0, 0.5), name="half")

    out = output(capsys, "status")

    whole, half = (
        next(row for row in out.splitlines() if row.startswith(n)) for n in ("s ", "half")
    )
    started, spent = ["1970-01-01", "00:00"], ["0.00", "0.00"]
    assert whole.split() == ["s", "complete", *started, "3/3", "0", "0", *spent, "0.25", "(1)"]
    assert half.split()[:5] == ["half", "stopped", *started, "1/3"]
    assert "go on by `python -m sweep resume half`" in out


def test_the_status_of_one_study_as_json(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    failed = Record(1, State.FAILED, error=Failure("MemoryError", "no memory"))
    make_study(tmp_path, completed(0, 0.5), failed, Record(2, State.CANCELLED))

    (found,) = json.loads(output(capsys, "status", "s", "--json"))

    assert found["study"] == "s"
    assert found["state"] == "stopped"
    assert found["trials"] == 3
    assert found["missing"] == 1
    assert found["counts"] == {"COMPLETED": 1, "FAILED": 1, "CANCELLED": 1}
    assert (found["best"], found["best_trial"]) == (0.5, 0)


def test_a_study_that_somebody_conducts_runs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    place = make_study(tmp_path, completed(0, 0.5))

    with place.hold(layout.LEASE, "a test"):
        (found,) = json.loads(output(capsys, "status", "s", "--json"))

    assert found["state"] == "running"


def test_an_empty_store_has_no_studies(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert output(capsys, "status") == f"no studies in {tmp_path}/sweep-store\n"
    assert list(tmp_path.iterdir()) == []


def test_the_store_is_the_one_given_else_the_environment_s(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("given", "named"):
        make_study(tmp_path / folder, name=folder)
    monkeypatch.setenv("SWEEP_STORE", str(tmp_path / "named" / "sweep-store"))

    assert "named" in output(capsys, "status")
    assert "given" in output(capsys, "status", "--store", "given/sweep-store")


def test_a_study_is_found_by_a_name_that_is_nearly_right_only_in_the_refusal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    make_study(tmp_path, name="forecast-1")

    assert run_verb(["status", "forecast-2"]) == 2

    assert "did you mean forecast-1?" in capsys.readouterr().err


def test_every_verb_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("plan", "status", "resume"):
        assert run_verb([verb, "--help"]) == 0
        assert f"python -m sweep {verb}" in capsys.readouterr().out


def test_an_error_of_ours_has_its_own_code() -> None:
    codes = {kind.__name__: kind.exit_code for kind in SweepError.__subclasses__()}

    assert codes["BadInput"] == 2
    assert codes["Unreachable"] == 3
    assert codes["Interrupted"] == 130
