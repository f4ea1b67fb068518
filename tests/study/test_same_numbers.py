"""A trial's numbers depend on its settings alone: not on order, packs, workers or company."""

import pytest
from clients import UNTRACKED, Place, by_setting

FRAIL = ["x=0.5,1,7", "train.seed=0,1"]
LSTM = ["+experiment=forecast", "guide=none", "data.lookback=4", "train.batch_size=256"]
LSTM += ["train.epochs=2", "model.output_dropout=0.2"]
AXES = ["model.hidden_size=4,5", "optim.lr=0.003,0.01", "train.seed=0,1"]


def test_a_study_in_another_order_and_other_packs_has_the_same_numbers(place: Place) -> None:
    ways = {
        "one": [*FRAIL, "hydra.launcher.pack.size=1", "hydra.launcher.parallelism=2"],
        "other": [*FRAIL[::-1], "hydra.launcher.pack.size=6", "hydra.launcher.parallelism=1"],
    }

    for study, words in ways.items():
        assert place.multirun(*words, study=study).code == 0

    one, other = (by_setting(place.read(study)) for study in ways)
    assert len(one) == 6
    assert one == other


@pytest.mark.slow
def test_the_main_job_in_another_order_and_other_packs_has_the_same_bits(place: Place) -> None:
    ways = {
        "one": [*AXES, "hydra.launcher.pack.size=1", "hydra.launcher.parallelism=2"],
        "other": [*AXES[::-1], "hydra.launcher.pack.size=4", "hydra.launcher.parallelism=1"],
    }

    for study, words in ways.items():
        done = place.multirun(*LSTM, *words, task=UNTRACKED, study=study)
        assert done.code == 0, done.err

    one, other = (by_setting(place.read(study)) for study in ways)
    assert len(one) == 8
    assert len({str(numbers) for numbers in one.values()}) == 8
    assert one == other


@pytest.mark.slow
def test_a_trial_alone_has_the_bits_that_it_has_in_company(place: Place) -> None:
    own = ["model.hidden_size=4", "optim.lr=0.01,0.003", "train.seed=1"]

    together = place.multirun(*LSTM, *AXES, task=UNTRACKED, study="together")
    alone = place.multirun(*LSTM, *own, task=UNTRACKED, study="alone")

    assert (together.code, alone.code) == (0, 0)
    company = place.read("together")
    found = {
        trial.values["optim.lr"]: company.records[trial.number].history
        for trial in company.trials
        if (trial.values["model.hidden_size"], trial.values["train.seed"]) == (4, 1)
    }
    lonely = place.read("alone")
    assert {t.values["optim.lr"]: lonely.records[t.number].history for t in lonely.trials} == found
