from __future__ import annotations

import shlex
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from sweep.plan.round import Base, Study
from sweep.plan.trial import Trial
from sweep.study.repeating import choosing, override_value, study_command, trial_command


def make_study(**more: Any) -> Study:
    given = {"name": "s-1", "created": 0.0, "task": "sweep.app:train", "job": "s", **more}
    return Study(**given)


def test_a_study_is_repeated_by_what_the_person_typed() -> None:
    study = make_study(overrides=("+experiment=forecast", "optim.lr=0.1,0.01"))

    assert study_command(study) == "python -m sweep +experiment=forecast optim.lr=0.1,0.01 -m"


def test_a_word_that_the_shell_would_change_is_quoted() -> None:
    study = make_study(overrides=("data.target=[temp,dewp]", "optim.lr=interval(0, 1)"))

    assert shlex.split(study_command(study))[3:5] == list(study.overrides)


def test_a_study_is_repeated_with_the_words_for_hydra_that_decide_what_is_tried() -> None:
    typed = [
        "hydra/sweeper=guide",
        "hydra.launcher.study=s-1",
        "+hydra.sweeper.params.optim.lr=0.1,0.01",
        "hydra/launcher=kubernetes",
        "hydra.launcher.budget.gpu_hours=2",
        "hydra.launcher.parallelism=4",
        "hydra.sweeper.confirm=3x5",
    ]

    command = study_command(
        make_study(overrides=("+experiment=forecast",), choosing=choosing(typed))
    )

    assert shlex.split(command)[3:] == [
        "+experiment=forecast",
        "hydra/sweeper=guide",
        "+hydra.sweeper.params.optim.lr=0.1,0.01",
        "hydra.launcher.budget.gpu_hours=2",
        "hydra.sweeper.confirm=3x5",
        "-m",
    ]


@pytest.mark.parametrize(
    ("task", "program"),
    [("train.py:main", "python train.py"), ("my.package.train:main", "python -m my.package.train")],
)
def test_the_program_of_another_application_is_named(task: str, program: str) -> None:
    command = study_command(make_study(task=task, overrides=("x=1,2",)))

    assert command == f"{program} x=1,2 hydra/launcher=kubernetes -m"


def test_a_trial_is_repeated_by_its_base_and_its_values() -> None:
    trial = Trial(3, 1, {"optim.lr": 0.001, "optim.name": "adam"})
    bases = [Base((), {}), Base(("+experiment=forecast", "train.epochs=5"), {})]

    command = trial_command(make_study(), trial, bases=bases)

    expected = "python -m sweep +experiment=forecast train.epochs=5 optim.lr=0.001 optim.name=adam"
    assert command == expected


@pytest.mark.parametrize(
    "value",
    [
        1,
        0.0003,
        1e-07,
        -2.5,
        True,
        None,
        "adam",
        "true",
        "null",
        "12",
        "",
        "two words",
        "it's",
        "back\\slash",
        "a\\'b",
        "1e3",
        "a,b",
        "x=y",
        "[a]",
        "nan",
        [1, 2.5, "three four", None],
        {"a": 1, "b": ["x", "it's"]},
    ],
)
def test_hydra_reads_back_the_value_that_was_written(value: Any) -> None:
    parser = OverridesParser.create()

    override = parser.parse_override(f"key={override_value(value)}")

    assert override.value() == value
    assert not override.is_sweep_override()


def test_a_folder_of_configuration_that_was_named_is_named_again() -> None:
    command = study_command(
        make_study(config_dirs=("/home/ada/my grids",), overrides=("guide=own",))
    )

    assert shlex.split(command) == [
        "python",
        "-m",
        "sweep",
        "--config-dir=/home/ada/my grids",
        "guide=own",
        "-m",
    ]
