"""Composing a multirun once gives what Hydra gives when it composes each of its jobs."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from sweep.compose import Composition, as_json, compose, to_tree
from sweep.errors import BadInput
from sweep.plan.round import set_values

CONFIGS = {
    "config.yaml": """
        defaults: [model: small, _self_]
        lr: 0.1
        name: null
        tags: [a, b]
        nested: {deep: {x: 1, y: two}}
        link: ${lr}
        missing: ???
    """,
    "model/small.yaml": "{size: 1, kind: small}",
    "model/large.yaml": "{size: 9, layers: 2}",
}
Job = Sequence[str]

VALUES = ["lr=0.5", "lr=1e-3", "lr=null", "lr=true", "lr=fast", "lr=.nan", "lr=${name}", "++lr=7"]
VALUES += ["name=x", "name='1'", "name=''", "name=[1,[2]]", "tags=[c]", "tags=[]", "tags=1"]
VALUES += ["nested.deep.x=5", "nested.deep={x:7}", "nested={deep:{y:3}}", "nested.deep=5"]
VALUES += ["model=large", "model=small", "model.size=4", "model.layers=3", "+model@other=large"]
VALUES += ["+new=1", "++new=2", "new=3", "~name", "~nested.deep.x", "~model", "+model.extra=1"]
VALUES += ["link=3", "missing=4", "hydra.job.name=z", "absent=1", "lr", "lr=[", "model=huge"]
jobs = st.lists(st.lists(st.sampled_from(VALUES), max_size=4), min_size=1, max_size=3)


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfigLoader]:
    folder = tmp_path_factory.mktemp("configs")
    for name, text in CONFIGS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(textwrap.dedent(text))
    with initialize_config_dir(version_base="1.3", config_dir=str(folder)):
        yield GlobalHydra.instance().config_loader()


@pytest.fixture(scope="module")
def master(loader: ConfigLoader) -> DictConfig:
    return loader.load_configuration("config", overrides=[], run_mode=RunMode.MULTIRUN)


def hydra_s(found: Sequence[Job], *, loader: ConfigLoader, master: DictConfig) -> list[Any] | None:
    """Let Hydra compose every job; None where it refuses one."""
    try:
        return [as_json(to_tree(loader.load_sweep_config(master, list(job)))) for job in found]
    except (HydraException, OmegaConfBaseException):
        return None


def ours(composition: Composition) -> list[Any]:
    return [
        set_values(composition.bases[trial.base].config, trial.values)
        for trial in composition.trials
    ]


@settings(max_examples=20)
@given(found=jobs)
@example(found=[["lr=0.5", "lr=1"], ["lr=2", "lr=1"]])
@example(found=[["nested.deep.x=5", "~nested.deep.x"], ["nested.deep.x=6", "~nested.deep.x"]])
@example(found=[["nested.deep={x:7}"], ["nested.deep={x:8}"]])
@example(found=[["nested.deep.x=5", "nested.deep={x:7}"], ["nested.deep={x:7}"]])
@example(found=[["model.size=4", "model=large"], ["model=large"]])
def test_any_multirun_composes_as_hydra_composes_it(
    loader: ConfigLoader, master: DictConfig, found: list[list[str]]
) -> None:
    expected = hydra_s(found, loader=loader, master=master)

    if expected is None:
        with pytest.raises(BadInput):
            compose(found, loader=loader, master=master)
    else:
        assert ours(compose(found, loader=loader, master=master)) == expected


def test_what_all_jobs_share_is_composed_once(loader: ConfigLoader, master: DictConfig) -> None:
    found = [
        ["nested.deep.x=3", f"lr={lr}", f"model.size={size}"] for lr in (1, 2) for size in (3, 4)
    ]

    composition = compose(found, loader=loader, master=master, first_number=7)

    assert [base.overrides for base in composition.bases] == [("nested.deep.x=3",)]
    assert [trial.number for trial in composition.trials] == [7, 8, 9, 10]
    assert composition.trials[3].values == {"lr": 2, "model.size": 4}
    assert composition.plain


def test_each_choice_of_a_group_is_composed_once(loader: ConfigLoader, master: DictConfig) -> None:
    found = [[f"model={model}", f"lr={lr}"] for lr in range(50) for model in ("small", "large")]

    composition = compose(found, loader=loader, master=master)

    assert [base.overrides for base in composition.bases] == [("model=small",), ("model=large",)]
    assert [trial.base for trial in composition.trials] == [0, 1] * 50


def test_nothing_is_resolved(loader: ConfigLoader, master: DictConfig) -> None:
    composition = compose([["lr=1"], ["lr=2"]], loader=loader, master=master)

    assert composition.bases[0].config["link"] == "${lr}"
    assert composition.bases[0].config["missing"] == "???"
    assert "hydra" not in composition.bases[0].config


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["lrr=1"], r"'lrr'.*lr"),
        (["model.sise=1"], r"model\.sise"),
        (["model=huge"], r"huge"),
        (["lr=["], r"lr=\["),
        (["lr"], r"lr"),
        (["~absent"], r"absent"),
        (["absent=1"], r"absent"),
    ],
)
@pytest.mark.parametrize("others", [[["lr=2"], ["lr=3"]], []], ids=["some", "all"])
def test_a_mistake_is_told_in_one_line_with_what_was_typed(
    loader: ConfigLoader, master: DictConfig, words: Job, line: str, others: list[Job]
) -> None:
    with pytest.raises(BadInput, match=line) as caught:
        compose([*others, words], loader=loader, master=master)

    assert "\n" not in str(caught.value)
