"""The guide's files: what they hold, where each value comes from, and that all of it can run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.types import HydraContext
from omegaconf import DictConfig

from sweep.app import APPLICATION, configs, train
from sweep.compose import Composition
from sweep.compose import compose as compose_grid
from sweep.errors import BadInput
from sweep.study.outline import Outline, outline
from sweep.study.siting import local_site

RANGES = "ranges"  # for strategies, no grid: tests/search looks at it
GUIDES = sorted({path.stem for path in (configs() / "guide").glob("*.yaml")} - {"none", RANGES})
EXPERIMENTS = sorted(path.stem for path in (configs() / "experiment").glob("*.yaml"))
SHARED = configs().parent / "../shared/data"
NOT_SHIPPED = {  # what a person has to give these
    "etth1": {"data.path": "ETTh1.csv"},
    "sentiment": {"data.path": "rt-polarity.pos", "data.negative_path": "rt-polarity.neg"},
}
OF_SEQUENCES = ("speech", "sentiment")
SECTIONS = {
    "model.hidden_size": 1,
    "model.num_layers": 1,
    "train.batch_size": 2,
    "optim.lr": 3,
    "optim.schedule.name": 3,
    "optim.schedule.patience": 3,
    "optim.name": 4,
    "optim.momentum": 4,
    "model.dropout": 5,
    "optim.weight_decay": 5,
    "optim.l1": 5,
    "data.lookback": 6,
    "train.epochs": 7,
    "model.activation": 8,
}
ISSUE = {  # the crossed grid, as the project's plan fixes it
    "model.hidden_size": ["50", "100", "200", "500"],
    "model.num_layers": ["1", "2", "3"],
    "train.batch_size": ["32", "64", "128"],
    "data.lookback": ["10", "50", "100", "200"],
    "optim.lr": ["0.0001", "0.001", "0.01"],
    "optim.name": ["adam", "rmsprop", "sgd"],
    "model.dropout": ["0.2", "0.3", "0.4", "0.5"],
    "optim.weight_decay": ["0", "0.0001", "0.001"],
    "optim.schedule.name": ["constant", "step", "exponential", "cosine"],
}


@dataclass(frozen=True)
class Axis:
    """One key of a guide's file, as its text has it."""

    key: str
    values: list[str]
    sources: dict[str, str]  # each value to 'section N' or 'ours', from the comment above the key


def text_of(guide: str) -> str:
    return (configs() / "guide" / f"{guide}.yaml").read_text()


def axes_of(guide: str) -> list[Axis]:
    axes: list[Axis] = []
    comment: list[str] = []
    for line in text_of(guide).splitlines():
        if line.lstrip().startswith("#"):
            comment.append(line.strip())
        elif match := re.fullmatch(r"\s*([a-z_0-9]+(?:\.[a-z_0-9]+)+): (.+)", line):
            axes.append(Axis(match[1], match[2].split(","), dict(sources_in(comment))))
            comment = []
        else:
            comment = []
    return axes


def sources_in(comment: list[str]) -> Iterator[tuple[str, str]]:
    for line in comment:
        if match := re.fullmatch(r"#   (\S+(?:, \S+)*)\s{2,}(section [1-8]|ours): \S.*", line):
            yield from ((value, match[2]) for value in match[1].split(", "))


def keys_in(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            if "." in key and isinstance(value, str | int):
                yield key
            elif key != "when":
                yield from keys_in(value)
    elif isinstance(tree, list):
        yield from chain.from_iterable(map(keys_in, tree))


@dataclass(frozen=True)
class Multirun:
    """A multirun as Hydra hands it to a launcher."""

    jobs: list[tuple[str, ...]]
    loader: ConfigLoader
    master: DictConfig


@cache
def expanded(*overrides: str) -> Multirun:
    with initialize_config_dir(str(configs().absolute()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        master = compose("config", overrides=list(overrides), return_hydra_config=True)
        sweeper: Any = Plugins.instance().instantiate_sweeper(
            hydra_context=HydraContext(config_loader=loader, callbacks=Callbacks()),
            task_function=train,
            config=master,
        )
        return Multirun(sweeper.expand(list(master.hydra.overrides.task)), loader, master)


@cache
def composed(*overrides: str) -> Composition:
    run = expanded(*overrides)
    return compose_grid(run.jobs, loader=run.loader, master=run.master)


@cache
def planned(*overrides: str) -> Outline:
    found = composed(*overrides)
    site = local_site(2, why="test")
    return outline(found.bases, found.trials, application=APPLICATION, site=site)


def single(guide: str) -> Outline:
    return planned(f"guide={guide}")


def test_there_is_a_file_for_each_section_beside_the_first_and_the_crossed_grid() -> None:
    sections = {
        number
        for guide in GUIDES
        for number in re.findall(r'^# Section ([1-8]) of "A Guide to LSTM', text_of(guide), re.M)
    }

    assert {"start", "full"} < set(GUIDES)
    assert len(GUIDES) == 10
    assert sections == {"1", "2", "3", "4", "5", "6", "7", "8"}


@pytest.mark.parametrize("guide", GUIDES)
def test_each_value_stands_below_a_comment_that_says_where_it_comes_from(guide: str) -> None:
    axes = axes_of(guide)

    assert [axis.key for axis in axes] == list(keys_in(yaml.safe_load(text_of(guide))))
    for axis in axes:
        assert sorted(axis.sources) == sorted(axis.values), axis.key


@pytest.mark.parametrize("guide", GUIDES)
def test_each_section_that_is_named_is_the_one_that_speaks_of_that_setting(guide: str) -> None:
    named = {
        (axis.key, source)
        for axis in axes_of(guide)
        for source in axis.sources.values()
        if source != "ours"
    }

    assert named
    assert named <= {(key, f"section {number}") for key, number in SECTIONS.items()}


@pytest.mark.parametrize("guide", GUIDES)
def test_what_the_guide_does_not_name_is_marked_as_ours(guide: str) -> None:
    ours = {
        (axis.key, value)
        for axis in axes_of(guide)
        for value, source in axis.sources.items()
        if source == "ours"
    }
    controls = {
        (axis.key, value)
        for axis in axes_of(guide)
        for value in axis.values
        if value in ("0", "0.0", "constant")
    }

    assert controls <= ours


@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_is_planned_without_a_refusal_and_has_as_many_trials_as_it_says(guide: str) -> None:
    plan = single(guide)

    said = re.search(r"([\d,]+) trials", text_of(guide))
    assert said is not None
    assert len(plan.round.trials) == int(said[1].replace(",", ""))


def asked(experiment: str) -> list[str]:
    """Write what a person has to write for an experiment; skip where the data are not here."""
    files = {
        key: SHARED / name
        for key, name in NOT_SHIPPED.get(experiment.removesuffix("_long"), {}).items()
    }
    if not all(path.exists() for path in files.values()):
        pytest.skip(f"the data of {experiment} are not beside the project: they are not shipped")
    return [f"+experiment={experiment}", *(f"{key}={path}" for key, path in files.items())]


SEGMENTED = ("etth1", "sequence_length")  # these lengths are not whole days
CROSSED = [name for name in EXPERIMENTS if not name.endswith("_long")] + ["forecast_long"]


@pytest.mark.parametrize(
    ("experiment", "guide"),
    [(e, g) for e in CROSSED for g in GUIDES if g != "full" and (e, g) != SEGMENTED],
)
def test_every_experiment_can_take_every_guide(experiment: str, guide: str) -> None:
    plan = planned(*asked(experiment), f"guide={guide}")

    assert len(plan.round.trials) >= len(single(guide).round.trials)
    if "sequence_length" not in guide or experiment not in OF_SEQUENCES:
        assert plan.trained >= len(single(guide).round.trials)


@pytest.mark.parametrize(("experiment", "lengths"), [("speech", 3), ("sentiment", 4)])
def test_lookbacks_beyond_the_longest_example_are_one_trial(experiment: str, lengths: int) -> None:
    # 10, 20, 50, 100, 200: no utterance has more than 29 steps, no sentence more than 59 words.
    plan = planned(
        *asked(experiment), "guide=sequence_length", "train.seed=0", "model.pooling=last"
    )

    assert plan.trained == lengths


def test_windows_that_are_no_whole_segments_are_refused() -> None:
    with pytest.raises(BadInput, match=r"model\.segment=24 with data\.lookback=10.*lookback=24"):
        planned(*asked("etth1"), "guide=sequence_length")


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_brings_a_grid_of_its_own(experiment: str) -> None:
    assert planned(*asked(experiment)).trained > 1


def test_the_first_grid_has_18_trials_all_of_which_are_trained() -> None:
    assert single("start").trained == len(single("start").round.trials) == 18


def test_the_crossed_grid_holds_the_values_that_the_plan_fixes() -> None:
    assert {axis.key: axis.values for axis in axes_of("full")} == ISSUE


def test_of_the_62208_crossed_trials_46656_are_distinct() -> None:
    assert len(single("full").round.trials) == 62_208
    assert single("full").trained == 46_656


def test_sgd_has_learning_rates_and_momentum_of_its_own() -> None:
    found = composed("guide=optimizer")

    rates: dict[str, set[tuple[Any, Any]]] = {}
    for trial in found.trials:
        values = trial.values
        rates.setdefault(values["optim.name"], set()).add(
            (values["optim.lr"], values.get("optim.momentum"))
        )
    adaptive = {(0.0001, None), (0.001, None), (0.01, None)}
    assert rates["adam"] == rates["rmsprop"] == adaptive
    assert rates["sgd"] == {(lr, m) for lr in (1.0, 0.1, 0.01) for m in (0.0, 0.9)}


@pytest.mark.parametrize("guide", [guide for guide in GUIDES if guide not in ("full", "optimizer")])
def test_hydras_own_sweeper_expands_a_guide_to_the_same_trials(guide: str) -> None:
    theirs = [f"guide={guide}", "hydra/sweeper=basic"]

    with initialize_config_dir(str(configs().absolute()), version_base="1.3"):
        master = compose("config", overrides=theirs, return_hydra_config=True)
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        axes = [f"{key!s}={value}" for key, value in master.hydra.sweeper.params.items()]
        chosen = parser.parse_overrides([f"guide={guide}", *axes])
        (jobs,) = BasicSweeper.split_arguments(chosen, max_batch_size=None)
    assert sorted(map(sorted, jobs)) == sorted(map(sorted, expanded(f"guide={guide}").jobs))


def test_a_plateau_that_early_stopping_would_cut_off_is_refused() -> None:
    with pytest.raises(BadInput, match=r"optim\.schedule\.patience=2 with train\.patience=2"):
        planned("guide=learning_rate", "train.patience=2")
