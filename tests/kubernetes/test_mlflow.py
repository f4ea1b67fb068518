"""MLflow shows every trial that pods trained; what died meanwhile: test_nothing_is_lost.py."""

from __future__ import annotations

import pytest
from tracked import Tracked

pytestmark = [
    pytest.mark.kube,
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]

THREE = ("x=1,2,3", "epoch_s=0.2", "hydra.launcher.pack.size=1")


def test_every_trial_is_a_run_below_the_study_s(tracked: Tracked) -> None:
    ended = tracked.on_cluster.place.multirun(*THREE, study=tracked.study)

    tracked.assert_whole(ended, range(3))
    parent = next(run for run in tracked.runs() if "sweep.trial" not in run.data.tags)
    children = [
        run for run in tracked.runs() if run is not parent and "sweep.trial" in run.data.tags
    ]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert {"leaderboard.csv", "report.html"} <= set(tracked.files(parent))
    assert all("loss" in run.data.metrics for run in children)
    assert tracked.pods.connections > 0
    assert tracked.people.connections > 0
    assert tracked.people.url in ended.out, "a person is led to an address for people"
    assert tracked.pods.url not in ended.out
