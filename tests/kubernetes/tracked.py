"""Look at what an MLflow server shows of a study that pods train."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clients import Ended
from on_cluster import OnCluster

from sweep.plan.trial import State

if TYPE_CHECKING:
    from testbed.levers import Link
    from testbed.mlflow_server import MlflowServer


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

    def assert_whole(self, ended: Ended, trials: Sequence[int]) -> None:
        """Check that no trial is lost, none is counted twice, and no run is left RUNNING."""
        place = self.on_cluster.place
        assert ended.code == 0, ended.out + ended.err
        states = {number: record.state for number, record in place.records(self.study).items()}
        assert states == dict.fromkeys(trials, State.COMPLETED)
        assert place.ended(self.study) == sorted(trials), "a trial was recorded twice"
        names = ["", *map(str, trials)]
        assert self.states() == {name: ["FINISHED"] for name in names}, "one run each, and ended"
