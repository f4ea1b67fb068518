"""A client takes the addresses of where it is, and shows people theirs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sweep.cluster.api import Api
from sweep.cluster.release import Release
from sweep.study.reaching import open_ways
from sweep.study.showing import PAGES, WAY, WAY_AGAIN, opened_at, reached_at

HERE = Api(None, "here", "a cluster that nobody asks")  # type: ignore[arg-type]
BOTH = Release(
    store_for_pods="http://minio.here.svc:9000",
    store_for_people="https://s3.example",
    tracking_for_pods="http://mlflow.here.svc:5000",
    tracking_for_people="https://mlflow.example",
)


def test_inside_it_is_the_pods_and_people_are_shown_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    env: dict[str, str] = {}

    open_ways(BOTH, HERE, env, inside=True)

    for name in (WAY, PAGES):
        monkeypatch.setenv(name, env[name])
    assert env["AWS_ENDPOINT_URL_S3"] == "http://minio.here.svc:9000"
    assert reached_at("http://mlflow.here.svc:5000") == "http://mlflow.here.svc:5000"
    assert opened_at("http://mlflow.here.svc:5000") == "https://mlflow.example"


def test_inside_people_without_an_address_are_shown_the_way_that_they_open_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    env: dict[str, str] = {}

    open_ways(replace(BOTH, tracking_for_people=""), HERE, env, inside=True)

    for name in (WAY, PAGES):
        monkeypatch.setenv(name, env[name])
    assert opened_at("http://mlflow.here.svc:5000") == "http://127.0.0.1:5000"
    assert reached_at("http://mlflow.here.svc:5000") == "http://mlflow.here.svc:5000"
    assert env[WAY_AGAIN] == "kubectl -n here port-forward service/mlflow 5000:5000"


def test_inside_a_server_elsewhere_has_one_address() -> None:
    env: dict[str, str] = {}
    elsewhere = Release(tracking_for_pods="https://mlflow.example")

    open_ways(elsewhere, HERE, env, inside=True)

    assert PAGES not in env
    assert WAY_AGAIN not in env


def test_outside_it_is_people_s(monkeypatch: pytest.MonkeyPatch) -> None:
    env: dict[str, str] = {}

    open_ways(BOTH, HERE, env, inside=False)

    for name in (WAY, PAGES):
        monkeypatch.setenv(name, env[name])
    assert env["AWS_ENDPOINT_URL_S3"] == "https://s3.example"
    assert reached_at("http://mlflow.here.svc:5000") == "https://mlflow.example"
    assert opened_at("http://mlflow.here.svc:5000") == "https://mlflow.example"


def test_a_person_s_own_endpoint_stands() -> None:
    env = {"AWS_ENDPOINT_URL_S3": "https://mine.example"}

    open_ways(BOTH, HERE, env, inside=True)

    assert env["AWS_ENDPOINT_URL_S3"] == "https://mine.example"
