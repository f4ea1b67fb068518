"""Fixtures of real nodes, and of what their pods are made of."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from testbed.fixtures import OWN_KUBECONFIG

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

    from testbed.control import ControlPlane
    from testbed.pods import Pods
    from testbed.real import RealNodes

NODES = 2


@pytest.fixture(scope="session")
def real_nodes(request: pytest.FixtureRequest) -> Iterator[RealNodes]:
    """Give two real nodes with a DNS, which can be killed, started again and cut off."""
    control: ControlPlane = request.getfixturevalue("control_plane")
    from testbed.base_image import python_image
    from testbed.dns import start_dns
    from testbed.image import shell_image
    from testbed.real import RealNodes, missing_for_real_nodes

    missing = missing_for_real_nodes()
    if missing:
        pytest.skip(missing)
    nodes = RealNodes(control)
    images = [shell_image(), python_image()]
    for _ in range(NODES):
        nodes.add(images, wait=False)
    dns = start_dns(control)
    nodes.wait_ready()
    yield nodes
    nodes.stop()
    dns.kill()


@pytest.fixture
def pods(request: pytest.FixtureRequest, api_client: ApiClient, namespace: str) -> Pods:
    """Give a fresh namespace's pods, run by our kubelets or by those of a user's cluster."""
    from testbed.pods import Pods

    if OWN_KUBECONFIG not in os.environ:
        request.getfixturevalue("real_nodes")
    return Pods(api_client, namespace)
