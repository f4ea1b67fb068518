"""The control plane is Kubernetes' own: it refuses, forgets, fails and comes back as that does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes import client, config, watch
from kubernetes.client import ApiClient, ApiException
from testbed.bed import open_bed
from testbed.control import ControlPlane
from testbed.waiting import until
from testbed.workloads import make_pod
from urllib3.exceptions import HTTPError

pytestmark = [pytest.mark.kube, pytest.mark.slow]

RBAC = "rbac.authorization.k8s.io"


@pytest.fixture(scope="module")
def other_control_plane(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    bed = open_bed()
    other = ControlPlane(bed).start()
    yield other
    other.stop()
    bed.close()


@pytest.fixture
def core(api_client: ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(api_client)


def core_as(kubeconfig: Path) -> client.CoreV1Api:
    return client.CoreV1Api(config.new_client_from_config(str(kubeconfig)))


def make_config_map(name: str) -> dict[str, object]:
    return {"metadata": {"name": name}}


def test_two_beds_stand_side_by_side_and_know_nothing_of_each_other(
    core: client.CoreV1Api, namespace: str, other_control_plane: ControlPlane
) -> None:
    core.create_namespaced_config_map(namespace, make_config_map("here"))

    theirs = core_as(other_control_plane.kubeconfig).list_config_map_for_all_namespaces().items

    assert "here" not in {each.metadata.name for each in theirs}


def test_restricted_pod_security_refuses_a_root_pod(core: client.CoreV1Api, namespace: str) -> None:
    pod = make_pod()
    pod["spec"]["securityContext"] |= {"runAsNonRoot": False, "runAsUser": 0}

    with pytest.raises(ApiException, match="must not set runAsUser=0") as refused:
        core.create_namespaced_pod(namespace, pod)

    assert refused.value.status == 403


def test_a_user_may_do_nothing_until_bound_to_a_role(
    control_plane: ControlPlane, core: client.CoreV1Api, namespace: str
) -> None:
    theirs = core_as(control_plane.kubeconfig_for("researcher", groups=["team"]))
    with pytest.raises(ApiException, match='User \\\\"researcher\\\\" cannot list'):
        theirs.list_namespaced_pod(namespace)

    client.RbacAuthorizationV1Api(core.api_client).create_namespaced_role_binding(
        namespace,
        {
            "metadata": {"name": "team"},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"},
            "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": "team"}],
        },
    )

    until(lambda: may_list_pods(theirs, namespace), holds=bool)


def may_list_pods(core: client.CoreV1Api, namespace: str) -> bool:
    try:
        core.list_namespaced_pod(namespace)
    except ApiException:
        return False
    return True


def test_a_service_accounts_token_says_who_it_is(
    control_plane: ControlPlane, core: client.CoreV1Api, namespace: str
) -> None:
    core.create_namespaced_service_account(namespace, {"metadata": {"name": "trainer"}})

    theirs = core_as(control_plane.kubeconfig_of_account(namespace, "trainer"))
    review = client.AuthenticationV1Api(theirs.api_client).create_self_subject_review({})

    assert review.status.user_info.username == f"system:serviceaccount:{namespace}:trainer"


def test_a_watch_ends_with_the_api_server_and_goes_on_from_a_new_list(
    control_plane: ControlPlane, core: client.CoreV1Api, namespace: str
) -> None:
    listed = core.list_namespaced_config_map(namespace)
    stream = follow(core, namespace, listed.metadata.resource_version)
    core.create_namespaced_config_map(namespace, make_config_map("before"))
    names = [next(stream)]

    control_plane.apiserver.restart()
    with pytest.raises((HTTPError, ApiException)):
        names.extend(stream)
    listed = core.list_namespaced_config_map(namespace)
    stream = follow(core, namespace, listed.metadata.resource_version)
    core.create_namespaced_config_map(namespace, make_config_map("after"))

    assert "before" in {each.metadata.name for each in listed.items}
    assert next(stream) == "after"


def follow(core: client.CoreV1Api, namespace: str, version: str) -> Iterator[str]:
    events = watch.Watch().stream(
        core.list_namespaced_config_map, namespace, resource_version=version, _request_timeout=20
    )
    return (event["object"].metadata.name for event in events)


def test_what_was_compacted_away_is_answered_with_410(
    control_plane: ControlPlane, core: client.CoreV1Api, namespace: str
) -> None:
    for name in ("a", "b"):
        core.create_namespaced_config_map(namespace, make_config_map(name))
    page = core.list_namespaced_config_map(namespace, limit=1).metadata
    core.create_namespaced_config_map(namespace, make_config_map("c"))

    control_plane.compact()
    control_plane.apiserver.restart()

    with pytest.raises(ApiException) as no_page:
        core.list_namespaced_config_map(namespace, limit=1, _continue=page.var_continue)
    with pytest.raises(ApiException) as no_watch:
        next(follow(core, namespace, page.resource_version))
    assert [no_page.value.status, no_watch.value.status] == [410, 410]


def test_a_paused_part_answers_nothing_and_goes_on_where_it_was(
    control_plane: ControlPlane, core: client.CoreV1Api, namespace: str
) -> None:
    control_plane.apiserver.pause()
    with pytest.raises(HTTPError):
        core.list_namespaced_pod(namespace, _request_timeout=1)
    control_plane.apiserver.go_on()

    assert core.list_namespaced_pod(namespace, _request_timeout=10).items == []
