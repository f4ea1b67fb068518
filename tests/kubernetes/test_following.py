"""A follower goes on from what it last heard, and lists anew where the server has forgotten it."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from kubernetes import client, config
from testbed.control import ControlPlane

from sweep.cluster.api import Api, Refused
from sweep.cluster.following import Change, Follower

CONFIG_MAPS = "v1/configmaps"


@dataclass
class Script:
    """What a server answers, in order: watches of it end by themselves, or in 410."""

    watches: list[list[tuple[str, str]] | Refused]
    asked: list[str] = field(default_factory=list)
    follower: Follower | None = None

    def list(self, path: str, *, selector: str = "", **_: str) -> tuple[list[Any], str]:
        self.asked.append("list")
        return [], "10"

    def watch(self, path: str, *, version: str, **_: str) -> Iterator[tuple[str, Any]]:
        assert self.follower is not None
        self.asked.append(version)
        answer = self.watches.pop(0)
        if not self.watches:
            self.follower.stop()
        if isinstance(answer, Refused):
            raise answer
        for kind, version in answer:
            yield kind, {"metadata": {"resourceVersion": version}}


def follow(*watches: list[tuple[str, str]] | Refused) -> list[str]:
    """Follow to the script's end; return the versions that were asked for, and 'list'."""
    script = Script(list(watches))
    news: queue.Queue[Change] = queue.Queue()
    script.follower = Follower("jobs", cast(Api, script), "batch_v1/jobs", news)
    script.follower._run()
    return script.asked


def test_a_watch_that_ends_is_taken_up_where_it_ended() -> None:
    assert follow([("MODIFIED", "11"), ("BOOKMARK", "15")], []) == ["list", "10", "15"]


def test_a_version_that_the_server_has_forgotten_is_listed_anew_at_once() -> None:
    gone = Refused(410, "Expired", "too old resource version")

    assert follow([("MODIFIED", "11")], gone, []) == ["list", "10", "11", "list", "10"]


@pytest.mark.kube
def test_a_real_server_that_has_forgotten_says_410(
    control_plane: ControlPlane, namespace: str, api_client: client.ApiClient
) -> None:
    settings = client.Configuration()
    config.load_kube_config(str(control_plane.kubeconfig), client_configuration=settings)
    with client.ApiClient(settings) as connection:
        api = Api(connection, namespace, "the test bed")
        old = api.list(CONFIG_MAPS)[1]
        for number in range(3):
            body = {"metadata": {"name": f"c{number}"}}
            client.CoreV1Api(api_client).create_namespaced_config_map(namespace, body)
        control_plane.compact()
        control_plane.apiserver.restart()

        with pytest.raises(Refused) as refused:
            next(api.watch(CONFIG_MAPS, version=old))

    assert refused.value.status == 410
