"""`hydra/sweeper=guide` through the real command line, and how it reads ranges."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from clients import APPLICATIONS, Ended, Place
from hydra import compose, initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext

from sweep.app import configs, train
from sweep.errors import BadInput
from sweep.guided import record_of
from sweep.plan.trial import State
from sweep.ranges import axis_of, seconds_of
from sweep.search.space import Axis, Choice, Interval
from sweep.search.staged import Staged
from sweep.study.reading import read_rounds

PEAK = """
import hydra
from hydra.core.config_store import ConfigStore

ConfigStore.instance().store(name="config", node={"x": 0.0, "kind": "rough"})

@hydra.main(version_base="1.3", config_name="config")
def main(cfg):
    value = 7 - (cfg.x - 2) ** 2 - (cfg.kind == "rough")
    print(value)
    return value

main()
"""
LOCALLY = ("hydra/sweeper=guide", "hydra.launcher.cluster=local")


def guided(place: Place, *words: str, task: Path = APPLICATIONS / "frail.py") -> Ended:
    return place.multirun(*LOCALLY, *words, task=task)


def searched(*words: str) -> Any:
    """Read a command line of our application as a search."""
    own = [word for word in words if word.startswith(("guide=", "hydra"))]
    typed = [word for word in words if word not in own]
    with initialize_config_dir(str(configs().absolute()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        master = compose("config", ["hydra/sweeper=guide", *own], return_hydra_config=True)
        sweeper: Any = Plugins.instance().instantiate_sweeper(
            hydra_context=HydraContext(config_loader=loader, callbacks=Callbacks()),
            task_function=train,
            config=master,
        )
        return sweeper.search(typed)


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("a=interval(1, 2)", Interval(low=1.0, high=2.0)),
        ("a=tag(log,interval(1e-4,1e-2))", Interval(low=1e-4, high=1e-2, log=True)),
        ("a=tag(log,int(interval(8,256)))", Interval(low=8.0, high=256.0, log=True, whole=True)),
        ("a=range(1,7,2)", Choice((1, 3, 5))),
        ("a=1e-3,2,x,null,true,'y z'", Choice((1e-3, 2, "x", None, True, "y z"))),
        ("a=1,1", Choice((1,))),
        ("a=5", Choice((5,))),
    ],
)
def test_an_override_is_read_as_an_axis(text: str, axis: Axis) -> None:
    assert axis_of(OverridesParser.create().parse_override(text), {}) == axis


def test_values_are_launched_as_they_were_typed() -> None:
    search = searched("data.target=[temp],[dewp]", "train.loss=mae", "hydra.sweeper.strategy=grid")

    words = [search.overrides(point) for point in search.strategy.suggest([], most=9).points]

    assert words == [
        [("train.loss=mae", "data.target=[temp]")],
        [("train.loss=mae", "data.target=[dewp]")],
    ]


def test_seeds_are_shared_by_all_configurations() -> None:
    search = searched("optim.lr=0.1,0.2", "train.seed=3,5", "hydra.sweeper.strategy=random")

    [point] = search.strategy.suggest([], most=1).points
    assert [words[-1] for words in search.overrides(point)] == ["train.seed=3", "train.seed=5"]
    assert set(point) == {"optim.lr"}


def test_the_guides_ranges_begin_with_the_configurations_own_values() -> None:
    strategy = searched("guide=ranges").strategy

    [begin] = strategy.suggest([], most=9).points
    assert isinstance(strategy, Staged)
    assert begin["optim.lr"] == 0.001
    assert begin["model.hidden_size"] == 50
    assert begin["data.lookback"] == 24
    assert begin in strategy.space


def test_the_command_line_narrows_the_guides_ranges() -> None:
    space = searched("guide=ranges", "optim.lr=0.002,0.004", "optim.name=sgd").strategy.space

    assert space.axes["optim.lr"] == Choice((0.002, 0.004))
    assert "optim.name" not in space.axes


def test_conditional_ranges_hold_as_in_the_grid() -> None:
    space = searched("guide=optimizer", "hydra.sweeper.strategy=grid").strategy.space

    assert space.size == 2 * 3 + 3 * 2
    assert {"optim.name": "sgd", "optim.lr": 1.0, "optim.momentum": 0.9} in space


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nothing varies"),
        (("optim.lr=0.1,0.2", "hydra.sweeper.strategy=stage"), "'stage' does not exist"),
        (("optim.lr=interval(0.1,0.2)", "hydra.sweeper.strategy=grid"), "a grid needs values"),
        (("optim.lr=interval(2,1)",), "has to rise"),
        (("optim.lr=0.1,0.2", "hydra.sweeper.max_time=soon"), "90s or 2h"),
        (("optim.lr=0.1,0.2", "hydra.sweeper.max_trials=0"), "above 0"),
        (("optim.lr=0.1,0.2", "train.seed=interval(0,9)"), "shared by all"),
        (
            (
                "optim.lr=interval(0.1,0.2)",
                "hydra.sweeper.strategy=sobol",
                "hydra.sweeper.max_trials=null",
            ),
            "has no end in a range",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(BadInput, match=re.escape(said)):
        searched(*words)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), (None, None)]
)
def test_lengths_of_time(text: str | None, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


def test_another_launchers_results_are_records_too() -> None:
    done = JobReturn(status=JobStatus.COMPLETED, _return_value=0.5)
    diverged = JobReturn(status=JobStatus.COMPLETED, _return_value=float("inf"))
    failed = JobReturn(status=JobStatus.FAILED, _return_value=ValueError())

    records = [record_of(item, number=7) for item in (done, diverged, failed)]

    assert [r.state for r in records] == [State.COMPLETED, State.INFEASIBLE, State.FAILED]
    assert records[0].objective == 0.5


def test_staged_runs_rounds_of_one_study_and_tells_its_decisions(tmp_path: Path) -> None:
    place = Place(tmp_path)

    ended = guided(place, "x=interval(-5,5)", "epochs=4", "hydra.sweeper.max_trials=20")

    assert ended.code == 0, ended.err
    best = min(record.objective or 0.0 for record in place.records().values())
    assert best < 1.5  # at the start, x=1, it was above 4
    assert len(read_rounds(place.store.at("s"))) >= 3
    assert "decided  start: begin with x=1.0" in ended.out
    assert "the strategy is through" in ended.out


@pytest.mark.parametrize("strategy", ["random", "sobol"])
def test_what_needs_no_result_is_one_round(tmp_path: Path, strategy: str) -> None:
    place = Place(tmp_path)

    ended = guided(
        place, "x=interval(-5,5)", "train.seed=0,1", f"hydra.sweeper.strategy={strategy}",
        "hydra.sweeper.max_trials=8",
    )  # fmt: skip

    assert ended.code == 0, ended.err
    [round_] = read_rounds(place.store.at("s"))
    assert len({trial.values["x"] for trial in round_.trials}) == 4
    assert len(place.records()) == 8


def test_tpe_asks_again_as_each_trial_ends(tmp_path: Path) -> None:
    place = Place(tmp_path)

    ended = guided(
        place, "x=interval(-5,5)", "hydra.sweeper.strategy=tpe", "hydra.sweeper.max_trials=6",
        "hydra.launcher.parallelism=2",
    )  # fmt: skip

    assert ended.code == 0, ended.err
    [round_] = read_rounds(place.store.at("s"))
    assert len(round_.trials) == len(place.records()) == 6
    assert round_.offers is not None
    assert round_.offers.trials == 2  # one a worker; each of the others after a result
    assert round_.offers.joined >= 2


def test_more_failures_than_allowed_end_the_search(tmp_path: Path) -> None:
    place = Place(tmp_path)

    ended = guided(place, "x=interval(-5,5)", "fault=error", "hydra.launcher.max_failed=0")

    assert ended.code == 1
    assert len(place.records()) == 1


def test_a_strangers_task_under_hydras_own_launcher_is_searched_too(tmp_path: Path) -> None:
    script = tmp_path / "peak.py"
    script.write_text(PEAK)

    ended = Place(tmp_path).python(
        str(script), "-m", "hydra/sweeper=guide", "hydra.sweeper.direction=maximize",
        "x=interval(-5,5)", "kind=rough,smooth",
    )  # fmt: skip

    values = [float(line) for line in ended.out.splitlines() if re.fullmatch(r"[-0-9.]+", line)]
    assert ended.code == 0, ended.err
    assert max(values) > 6.9
    assert "decided  kind: take kind=smooth" in ended.out
