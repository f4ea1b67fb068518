"""Searches whose pods choose for themselves: they go on when the client is gone."""

from __future__ import annotations

from collections import Counter

import pytest
from clients import finish, kill, wait_until
from on_cluster import OnCluster

from sweep.plan.trial import State
from sweep.study.reading import read_rounds

pytestmark = [pytest.mark.kube, pytest.mark.stack, pytest.mark.slow]

SEARCH = ("hydra/sweeper=guide", "hydra.launcher.parallelism=2", "x=interval(-5,5)", "epochs=9")


def begun(on_cluster: OnCluster) -> int:
    place = on_cluster.place
    return len(place.lines()) if place.planned() else 0


@pytest.mark.timeout(400)
def test_halving_goes_on_without_its_client_and_attach_finishes_it(on_cluster: OnCluster) -> None:
    place = on_cluster.place
    client = place.start(
        *SEARCH, "hydra.sweeper.strategy=halving", "hydra.sweeper.max_trials=9", "epoch_s=0.2"
    )
    wait_until(lambda: begun(on_cluster) > 2, within_s=120)
    kill(client)

    ended = place.verb("attach", "s")

    assert ended.code == 0, ended.err
    states = Counter(record.state for record in place.records().values())
    assert states[State.PRUNED] + states[State.COMPLETED] == 9
    assert states[State.COMPLETED] >= 1
    climbs = Counter(
        (line.trial, len(line.history["loss"]))
        for line in place.lines()
        if line.state in (State.PAUSED, State.COMPLETED) and line.history
    )
    assert set(climbs.values()) == {1}
    assert len(on_cluster.jobs()) == 1


@pytest.mark.timeout(400)
def test_pods_train_what_was_offered_and_resume_asks_on(on_cluster: OnCluster) -> None:
    place = on_cluster.place
    client = place.start(
        *SEARCH, "hydra.sweeper.strategy=tpe", "hydra.sweeper.max_trials=6", "epoch_s=0.2"
    )
    wait_until(lambda: begun(on_cluster) > 0 and len(place.ended()) >= 2, within_s=120)
    kill(client)

    ended = finish(place.resume(), within_s=300)

    assert ended.code == 0, ended.err
    assert place.ended() == list(range(6))
    assert all(round_.offers is not None for round_ in read_rounds(place.store.at("s")))
