"""Sweepers that ask in batches are served on a cluster: each batch is a round, and so a Job."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml
from clients import APPLICATIONS, finish
from on_cluster import OnCluster

from sweep.plan.trial import State
from sweep.study.reading import read_rounds

sys.path.insert(0, str(Path(__file__).parents[1] / "hydra"))
from environments import NotInstallable, extended

pytestmark = [pytest.mark.kube, pytest.mark.stack, pytest.mark.slow]

OPTUNA = ("hydra-optuna-sweeper==1.3.0", "optuna==2.10.1", "sqlalchemy<2")
CLUSTER = ("kubernetes>=37,<38", "boto3>=1.43", "tenacity>=9")
ON_PODS = "hydra.launcher.cluster=kubernetes"


@pytest.fixture(scope="module")
def python() -> Path:
    """Give an environment with hydra-optuna-sweeper and what our cluster needs, alone."""
    try:
        return extended([*OPTUNA, *CLUSTER])
    except NotInstallable as error:
        pytest.skip(f"hydra-optuna-sweeper cannot be installed here: {error}")


@pytest.mark.timeout(600)
def test_the_batches_of_hydra_optuna_sweeper_are_rounds_of_one_study(
    on_cluster: OnCluster, python: Path
) -> None:
    place = on_cluster.place
    command = f"hydra.launcher.command=[{python},-m,sweep.worker]"

    words = (ON_PODS, command, "hydra.sweeper.direction=maximize")
    client = place.start(*words, task=APPLICATIONS / "hill.py", python=python)
    ended = finish(client, within_s=400)

    assert ended.code == 0, ended.err
    jobs = sorted(job.metadata.name for job in on_cluster.jobs())
    assert jobs == ["s-r1", "s-r2", "s-r3"]
    records = place.records()
    assert sorted(records) == list(range(12))
    assert {record.state for record in records.values()} == {State.COMPLETED}
    [file] = place.folder.rglob("optimization_results.yaml")
    best = yaml.safe_load(file.read_text())["best_value"]
    assert best == max(record.objective for record in records.values())
    assert best > 6  # it learns: chance alone is worse


def test_hydra_s_basic_sweeper_is_served_batch_by_batch(on_cluster: OnCluster) -> None:
    ended = on_cluster.place.multirun(
        "hydra/sweeper=basic", "hydra.sweeper.max_batch_size=2", "x=1,2,3,4", ON_PODS
    )

    assert ended.code == 0, ended.err
    assert sorted(job.metadata.name for job in on_cluster.jobs()) == ["s-r1", "s-r2"]
    assert sorted(on_cluster.place.records()) == [0, 1, 2, 3]


def test_data_that_a_later_batch_names_first_is_uploaded_with_it(on_cluster: OnCluster) -> None:
    for name in ("a.csv", "b.csv"):
        (on_cluster.place.folder / name).write_text(name)

    ended = on_cluster.place.multirun(
        "hydra/sweeper=basic", "hydra.sweeper.max_batch_size=1", "path=a.csv,b.csv", ON_PODS
    )

    assert ended.code == 0, ended.err
    assert "b.csv uploaded" in ended.out
    first, second = read_rounds(on_cluster.place.store.at("s"))
    assert (list(first.files), list(second.files)) == ([], ["b.csv"])
    assert {r.state for r in on_cluster.place.records().values()} == {State.COMPLETED}


def test_hydra_s_basic_sweeper_is_left_by_a_failed_trial(on_cluster: OnCluster) -> None:
    ended = on_cluster.place.multirun("hydra/sweeper=basic", "x=1,2", "fault=error", ON_PODS)

    assert ended.code == 1
    assert "ZeroDivisionError" in ended.err
    assert {r.state for r in on_cluster.place.records().values()} == {State.FAILED}
