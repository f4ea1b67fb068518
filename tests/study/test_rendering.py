"""A Job is rendered from what a person says, the release says, and the round needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sweep.cluster import Work
from sweep.cluster.release import Release
from sweep.errors import BadInput
from sweep.plan.budget import Budget, Spent
from sweep.study.rendering import job_settings, render

HOUR_S = 3600.0
IMAGE = "registry.example/sweep:1"


def make_work(*, packs: int = 10, budget: Budget | None = None, spent: Spent | None = None) -> Work:
    return Work(
        store="s3://bucket/studies",
        study="s",
        round=1,
        round_hash="0",
        packs=range(packs),
        task="app:run",
        tracking="",
        code="",
        max_attempts=3,
        budget=budget or Budget(),
        spent=spent or Spent(),
    )


def rendered(work: Work, release: Release | None = None, **options: Any) -> dict[str, Any]:
    settings = job_settings(
        {"image": IMAGE, **options}, release=release or Release(), namespace="n"
    )
    spec: dict[str, Any] = render(settings, work)["spec"]
    return spec


def test_the_rest_of_a_budget_bounds_the_job() -> None:
    work = make_work(budget=Budget(gpu_hours=8), spent=Spent(gpu_s=6 * HOUR_S))

    spec = rendered(work, parallelism=4, resources={"gpu": 1})

    assert spec["activeDeadlineSeconds"] == HOUR_S / 2


def test_fewer_packs_than_pods_are_allowed_hold_devices_for_longer() -> None:
    work = make_work(packs=2, budget=Budget(cpu_hours=4))

    assert rendered(work, parallelism=10, resources={"cpu": "2"})["activeDeadlineSeconds"] == HOUR_S


def test_the_nearer_of_deadline_and_budget_counts() -> None:
    work = make_work(budget=Budget(gpu_hours=1))

    for deadline_s in (60, 600):
        spec = rendered(work, parallelism=10, resources={"gpu": 1}, deadline_s=deadline_s)
        assert spec["activeDeadlineSeconds"] == min(deadline_s, 360)


def test_nothing_bounds_a_job_that_nobody_bounded() -> None:
    assert "activeDeadlineSeconds" not in rendered(make_work())


def test_a_person_s_word_beats_the_release_s() -> None:
    release = Release(image="registry.example/release:1", queue="theirs", store_secret="keys")

    pod = rendered(make_work(), release, queue="mine")["template"]["spec"]

    assert pod["containers"][0]["image"] == IMAGE
    assert pod["containers"][0]["envFrom"] == [{"secretRef": {"name": "keys"}}]


@pytest.mark.parametrize("key", ["deadline_s", "grace_s"])
def test_a_time_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(BadInput, match=f"hydra.launcher.{key}=0: must be a whole number"):
        rendered(make_work(), **{key: 0})


def test_a_server_of_mlflow_is_named_to_pods_and_a_file_is_not() -> None:
    def tracking(uri: str) -> list[str]:
        container = rendered(replace(make_work(), tracking=uri))["template"]["spec"]["containers"][
            0
        ]
        return [e["value"] for e in container["env"] if e["name"] == "MLFLOW_TRACKING_URI"]

    assert tracking("http://mlflow:5000") == ["http://mlflow:5000"]
    assert tracking("sqlite:///mlflow.db") == []
