"""An application that is not ours runs in pods, and what it wrote comes back to the store."""

from __future__ import annotations

import json

import pytest
from clients import APPLICATIONS
from on_cluster import OnCluster

from sweep.plan import layout
from sweep.plan.trial import State

pytestmark = [pytest.mark.kube, pytest.mark.stack]

APP = APPLICATIONS / "any_app" / "app.py"


def test_outputs_of_a_strangers_jobs_lie_in_the_store(on_cluster: OnCluster) -> None:
    """It has a structured config with an enum, a resolver, callbacks and output files."""
    place = on_cluster.place
    place.extra = {**place.extra, "PYTHONPATH": str(APPLICATIONS), "GREETED": "client"}
    ended = place.multirun(
        "hydra/launcher=kubernetes",
        "+hydra.launcher.env.GREETED=hello",
        f"+hydra.launcher.env.PYTHONPATH={APPLICATIONS}",  # as an image would have it
        "x=1,2",
        "colour=RED,BLUE",
        task=APP,
    )

    assert ended.code == 0, ended.out + ended.err
    store = on_cluster.place.store.at("s")
    for number in range(4):
        outputs = layout.output_prefix(number)
        keys = store.sizes(outputs)
        assert f"{outputs}.hydra/overrides.yaml" in keys
        seen = json.loads(store.read(f"{outputs}seen.json"))
        written = seen["resolved"]
        assert seen["is_enum"]
        assert f"x: {1 + number // 2}\n" in written
        assert f"thrice: {3 * (1 + number // 2)}\n" in written
        assert f"colour: {'BLUE' if number % 2 else 'RED'}\n" in written
        assert "home: hello\n" in written
    assert {r.state for r in on_cluster.place.records().values()} == {State.COMPLETED}
