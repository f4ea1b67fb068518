"""The Role of k8s/ grants what the launcher asks for, and nothing else."""

from __future__ import annotations

from contextlib import suppress
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from clients import finish
from kubernetes import client, config
from on_cluster import OnCluster
from release_objects import objects
from testbed.audit import Asked, asked_by
from testbed.control import ControlPlane

from sweep.cluster.api import Api
from sweep.cluster.forwarding import forward

pytestmark = [pytest.mark.kube, pytest.mark.stack]

Right = tuple[str, str, str]  # API group, resource, verb

ACCOUNT = "sweep-submitter"
ELSEWHERE: set[Right] = {
    # A bed without Kueue has no Workloads: test_queue.py proves these.
    ("kueue.x-k8s.io", "workloads", "list"),
    ("kueue.x-k8s.io", "workloads", "watch"),
    ("visibility.kueue.x-k8s.io", "localqueues/pendingworkloads", "get"),
    # Asked for beside `get` where a connection becomes a websocket, and in no log of its own.
    ("", "pods/portforward", "create"),
}


def test_every_verb_of_the_role_is_used_and_none_is_missing(
    on_cluster: OnCluster, control_plane: ControlPlane
) -> None:
    do_everything(on_cluster, control_plane)

    found = asked_by(
        control_plane.bed.folder / "audit", namespace=on_cluster.namespace, account=ACCOUNT
    )
    asked = [each for each in found if each.group != "authorization.k8s.io"]  # everybody's own
    objects_ = [each for each in asked if not each.resource.startswith("/")]  # not discovery
    assert [each for each in objects_ if each.code == 403] == []
    assert {right(each) for each in objects_} == granted() - ELSEWHERE


def test_a_study_is_one_write_however_many_trials_it_has(
    on_cluster: OnCluster, control_plane: ControlPlane
) -> None:
    words = ("x=range(0,200)", "epochs=1", "hydra.launcher.pack.size=100")
    assert on_cluster.place.multirun(*words).code == 0

    found = asked_by(
        control_plane.bed.folder / "audit", namespace=on_cluster.namespace, account=ACCOUNT
    )
    writes = [each for each in found if each.verb in ("create", "patch", "update", "delete")]
    assert [(each.resource, each.verb) for each in writes] == [("jobs", "create")]


def do_everything(on_cluster: OnCluster, control_plane: ControlPlane) -> None:
    """Use each feature that speaks with the API server."""
    place = on_cluster.place
    four = ("x=1,2,3,4", "epoch_s=1", "hydra.launcher.pack.size=2")
    assert place.verb("doctor").code == 0
    planned = place.multirun(*four, "hydra.launcher.dry=true", "hydra.launcher.check=true")
    assert planned.code == 0, planned.err
    assert place.multirun(*four, "hydra.launcher.detach=true").code == 75
    on_cluster.wait_running()
    assert "s" in place.verb("status").out
    assert finish(place._start(["-m", "sweep", "logs", "s", "-f"])).code == 0
    assert place.verb("attach", "s").code == 0
    others = ("x=5,6", "epoch_s=30", "hydra.launcher.detach=true")
    assert place.multirun(*others, study="t").code == 75
    (pod, *_) = on_cluster.wait_running(study="t")
    reach_a_service(on_cluster, control_plane, pod=pod.metadata.name)
    cancelled = place.verb("cancel", "t")
    assert cancelled.code == 0, cancelled.err
    assert place.verb("report", "s").code == 0
    begin = ("once", "u", "+experiment=forecast", "guide=none", "hydra.launcher.dry=true")
    assert place.verb(*begin).code == 0, "an application of ours, by the verb of a nightly"
    resumed = place.verb("resume", "s")
    assert resumed.code == 0, resumed.err


def reach_a_service(on_cluster: OnCluster, control_plane: ControlPlane, *, pod: str) -> None:
    """Ask for a port-forward, which no fake node knows: that it is allowed shows all the same."""
    label = {"metadata": {"labels": {"app": "store"}}}
    on_cluster.core.patch_namespaced_pod(pod, on_cluster.namespace, label)
    body = {
        "metadata": {"name": "store"},
        "spec": {"selector": {"app": "store"}, "ports": [{"port": 80}]},
    }
    on_cluster.core.create_namespaced_service(on_cluster.namespace, body)
    settings = client.Configuration()
    file = control_plane.kubeconfig_of_account(on_cluster.namespace, ACCOUNT)
    config.load_kube_config(str(file), client_configuration=settings)
    with client.ApiClient(settings) as connection:
        way = forward(Api(connection, on_cluster.namespace, "the test bed"), "http://store")
        with suppress(URLError, ConnectionError):
            urlopen(way, timeout=10)


def granted() -> set[Right]:
    role = objects("role.yaml")[0]
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def right(asked: Asked) -> Right:
    return asked.group, asked.resource, asked.verb
