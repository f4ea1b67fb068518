"""MLflow shows every trial that pods trained, whatever was away or died meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from clients import kill, wait_until
from on_cluster import OnCluster
from testbed.levers import Link
from testbed.mlflow_server import MlflowServer

pytestmark = [
    pytest.mark.kube,
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]

THREE = ("x=1,2,3", "epoch_s=0.2", "hydra.launcher.pack.size=1")


@dataclass(frozen=True)
class Tracked:
    """A cluster whose release names one server by two addresses: for pods and for people."""

    on_cluster: OnCluster
    server: MlflowServer
    study: str
    pods: Link
    people: Link

    def runs(self) -> list[Any]:
        """List the study's runs, from the server itself."""
        from mlflow import MlflowClient

        client = MlflowClient(self.server.uri)
        found = client.search_experiments(filter_string="name = 'frail'")
        wanted = f"tags.`sweep.study` = '{self.study}'"
        return [run for e in found for run in client.search_runs([e.experiment_id], wanted)]

    def states(self) -> dict[str, list[str]]:
        """Name the states of the runs by their trials; the parent's is ''."""
        shown: dict[str, list[str]] = {}
        for run in self.runs():
            shown.setdefault(run.data.tags.get("sweep.trial", ""), []).append(run.info.status)
        return shown

    def files(self, run: Any) -> list[str]:
        from mlflow import MlflowClient

        return [file.path for file in MlflowClient(self.server.uri).list_artifacts(run.info.run_id)]

    def away(self) -> ExitStack:
        """Refuse everybody, as long as the context lasts."""
        stack = ExitStack()
        for link in (self.pods, self.people):
            stack.enter_context(link.refusing())
        return stack


@pytest.fixture
def tracked(on_cluster: OnCluster, mlflow_stack: MlflowServer) -> Iterator[Tracked]:
    with Link(mlflow_stack.uri) as pods, Link(mlflow_stack.uri) as people:
        release = {"tracking.pods": pods.url, "tracking.people": people.url}
        on_cluster.core.patch_namespaced_config_map(
            "sweep-release", on_cluster.namespace, {"data": release}
        )
        on_cluster.place.extra = {**on_cluster.place.extra, "FRAIL_TRACKED": "1"}
        yield Tracked(on_cluster, mlflow_stack, f"s-{on_cluster.namespace}", pods, people)


EVERYTHING = {"": ["FINISHED"], "0": ["FINISHED"], "1": ["FINISHED"], "2": ["FINISHED"]}


def test_every_trial_is_a_run_below_the_study_s(tracked: Tracked) -> None:
    ended = tracked.on_cluster.place.multirun(*THREE, study=tracked.study)

    assert ended.code == 0, ended.err
    assert tracked.states() == EVERYTHING
    parent = next(run for run in tracked.runs() if "sweep.trial" not in run.data.tags)
    children = [
        run for run in tracked.runs() if run is not parent and "sweep.trial" in run.data.tags
    ]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert {"leaderboard.csv", "report.html"} <= set(tracked.files(parent))
    assert all("loss" in run.data.metrics for run in children)
    assert tracked.pods.connections > 0
    assert tracked.people.connections > 0


def test_a_server_that_is_away_all_the_time_costs_nothing_and_publish_fills_it(
    tracked: Tracked,
) -> None:
    place = tracked.on_cluster.place
    with tracked.away():
        ended = place.multirun(*THREE, study=tracked.study)
        refused = place.verb("publish", tracked.study)

    published = place.verb("publish", tracked.study)

    assert ended.code == 0, ended.err
    assert "did not answer; nothing is lost" in ended.out
    assert refused.code == 3
    assert published.code == 0, published.err
    assert tracked.states() == EVERYTHING


def test_a_killed_client_leaves_no_run_running_once_another_attached(tracked: Tracked) -> None:
    place = tracked.on_cluster.place
    client = place.start(*THREE, "epoch_s=2", study=tracked.study)
    wait_until(lambda: "RUNNING" in tracked.states().get("", []))
    tracked.on_cluster.wait_running(study=tracked.study)
    kill(client)

    attached = place.verb("attach", tracked.study)

    assert attached.code == 0, attached.err
    assert tracked.states() == EVERYTHING


def test_a_person_is_led_to_an_address_for_people(tracked: Tracked) -> None:
    ended = tracked.on_cluster.place.multirun(*THREE, study=tracked.study)

    assert tracked.people.url in ended.out
    assert tracked.pods.url not in ended.out
