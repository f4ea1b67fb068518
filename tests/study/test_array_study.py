"""A study on the array leaves the records that the same study leaves on torch."""

from __future__ import annotations

import pytest
from clients import UNTRACKED, Place

from sweep.plan.trial import State
from sweep.study.reading import read_rounds

SPEECH = ["+experiment=speech", "guide=none", "data.folds=2", "train.seed=0,1", "train.epochs=3"]
SPEECH += ["model.hidden_size=6", "train.device=cpu", "train.precision=float64"]
WORDS = ["+experiment=forecast", "guide=none", "data.lookback=6", "data.split=[200,60,60]"]
WORDS += ["train.epochs=4", "train.device=cpu", "model.hidden_size=6", "train.precision=float64"]
AXES = ["optim.name=adam,sgd", "optim.lr=0.003,0.01", "train.seed=0,1"]
HERE = ["hydra.launcher.cluster=local", "hydra.launcher.parallelism=2"]


@pytest.mark.slow
@pytest.mark.parametrize(("words", "trials"), [([*WORDS, *AXES], 8), (SPEECH, 4)])
def test_the_records_agree_and_say_what_trained(
    place: Place, words: list[str], trials: int
) -> None:
    for backend in ("torch", "array"):
        own = [*words, *HERE, f"train.backend={backend}"]
        done = place.multirun(*own, task=UNTRACKED, study=backend)
        assert done.code == 0, done.err

    by_torch, by_array = place.records("torch"), place.records("array")

    assert sorted(by_torch) == sorted(by_array) == list(range(trials))
    for number, record in by_array.items():
        other = by_torch[number]
        assert record.state is other.state is State.COMPLETED
        assert record.objective == pytest.approx(other.objective, rel=1e-9)
        assert record.metrics == pytest.approx(other.metrics, rel=1e-9)
        for name, curve in other.history.items():
            assert record.history[name] == pytest.approx(curve, rel=1e-9)
        assert (other.versions["backend"], record.versions["backend"]) == ("torch", "array")
        assert record.device == "cpu"
    for backend in ("torch", "array"):
        (round_,) = read_rounds(place.store.at(backend))
        assert {pack.fused for pack in round_.packs} == {backend == "array"}


@pytest.mark.slow
def test_a_precision_that_needs_a_gpu_fails_its_trials_with_one_line(place: Place) -> None:
    words = [*WORDS, *HERE, "train.backend=array", "train.precision=tf32", "optim.lr=0.01"]

    done = place.multirun(*words, task=UNTRACKED)

    assert done.code == 1
    (record,) = place.records().values()
    assert record.error is not None
    assert "train.precision=tf32 is of GPUs alone" in record.error.text
