"""A trial's numbers depend on its settings alone: not on order, packs, workers or company."""

import pytest
from clients import UNTRACKED, Place, by_setting, kill, numbers, wait_until

from sweep.study.studied import Studied

FRAIL = ["x=0.5,1,7", "train.seed=0,1"]
LSTM = ["+experiment=forecast", "guide=none", "data.lookback=4", "train.batch_size=256"]
LSTM += ["train.epochs=3", "model.output_dropout=0.2"]
AXES = ["model.hidden_size=4,5", "optim.lr=0.003,0.01", "train.seed=0,1"]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Studied:
    """Eight trials of the main job, each in a pack of its own, on two workers."""
    place = Place(tmp_path_factory.mktemp("company"))
    words = [*LSTM, *AXES, "hydra.launcher.pack.size=1", "hydra.launcher.parallelism=2"]
    done = place.multirun(*words, task=UNTRACKED)
    assert done.code == 0, done.err
    return place.read()


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
def test_the_main_job_in_another_order_and_other_packs_has_the_same_bits(
    place: Place, company: Studied
) -> None:
    ways = ["hydra.launcher.pack.size=4", "hydra.launcher.parallelism=1"]

    done = place.multirun(*LSTM, *AXES[::-1], *ways, task=UNTRACKED)

    assert done.code == 0, done.err
    found = by_setting(place.read())
    assert len({str(own) for own in found.values()}) == 8
    assert found == by_setting(company)


@pytest.mark.slow
def test_a_trial_alone_has_the_bits_that_it_has_in_company(place: Place, company: Studied) -> None:
    own = ["model.hidden_size=4", "optim.lr=0.003", "train.seed=1"]

    assert place.multirun(*LSTM, *own, task=UNTRACKED).code == 0

    (alone,) = place.records().values()
    (together,) = (
        company.records[trial.number]
        for trial in company.trials
        if list(trial.values.values()) == [4, 0.003, 1]
    )
    assert numbers(alone) == numbers(together)


@pytest.mark.slow
def test_the_main_job_killed_and_resumed_has_the_same_bits(place: Place, company: Studied) -> None:
    client = place.start(*LSTM, *AXES, task=UNTRACKED)
    wait_until(lambda: len(place.ended()) >= 2, within_s=120)

    kill(client)

    assert 2 <= len(place.ended()) < 8
    assert place.verb("resume", "s").code == 0
    assert place.ended() == list(range(8))
    assert by_setting(place.read()) == by_setting(company)
