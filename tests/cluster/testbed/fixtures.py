"""Fixtures of the control plane and its fake nodes; each part starts once, when a test asks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

    from testbed.bed import Bed
    from testbed.control import ControlPlane
    from testbed.fake import FakeNodes

OWN_KUBECONFIG = "SWEEP_TEST_KUBECONFIG"  # a cluster of the user's, instead of one of ours
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
NODES_ANNOTATION = "scheduler.alpha.kubernetes.io/node-selector"


@pytest.fixture(scope="session")
def bed() -> Iterator[Bed]:
    """Give the session's bed, which is taken down at the end, whatever the end."""
    from testbed.bed import open_bed

    bed = open_bed()
    yield bed
    bed.close()


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """Give a control plane whose parts can be paused, killed and restarted."""
    if OWN_KUBECONFIG in os.environ:
        pytest.skip(f"a test of levers, which a cluster named by {OWN_KUBECONFIG} does not have")
    if shutil.which("go") is None:
        pytest.skip("Kubernetes is built by Go, which is not installed")
    from testbed.audit import audit_flags
    from testbed.control import ControlPlane

    bed: Bed = request.getfixturevalue("bed")
    flags = {"kube-apiserver": audit_flags(bed.folder / "audit")}
    control = ControlPlane(bed, flags=flags).start()
    yield control
    control.stop()


@pytest.fixture(scope="session")
def kubeconfig(request: pytest.FixtureRequest) -> Path:
    """Give an administrator's kubeconfig: of the user's own cluster where one is named."""
    own = os.environ.get(OWN_KUBECONFIG)
    if own:
        return Path(own)
    control: ControlPlane = request.getfixturevalue("control_plane")
    return control.kubeconfig


@pytest.fixture(scope="session")
def api_client(kubeconfig: Path) -> Iterator[ApiClient]:
    """Give an administrator's client of the Kubernetes library."""
    from kubernetes import config

    with config.new_client_from_config(str(kubeconfig)) as client:
        yield client


@pytest.fixture(scope="session")
def _all_fake_nodes(control_plane: ControlPlane) -> Iterator[FakeNodes]:
    from testbed.fake import FakeNodes

    nodes = FakeNodes(control_plane).start()
    yield nodes
    nodes.stop()


@pytest.fixture
def fake_nodes(_all_fake_nodes: FakeNodes) -> Iterator[FakeNodes]:
    """Let a test add fake nodes, which are removed after it with their pods' processes."""
    yield _all_fake_nodes
    _all_fake_nodes.remove_all()


@pytest.fixture
def namespace(request: pytest.FixtureRequest, api_client: ApiClient) -> Iterator[str]:
    """Make a namespace that enforces PodSecurity restricted; delete it without waiting.

    Its pods go to the fake nodes where the test asks for those, else to the real ones.
    """
    from kubernetes import client

    core = client.CoreV1Api(api_client)
    name = f"test-{uuid4().hex[:8]}"
    kind = "fake" if "fake_nodes" in request.fixturenames else "real"
    metadata: dict[str, Any] = {"name": name, "labels": RESTRICTED}
    if OWN_KUBECONFIG not in os.environ:
        metadata["annotations"] = {NODES_ANNOTATION: f"testbed/kind={kind}"}
    core.create_namespace({"metadata": metadata})
    yield name
    core.delete_namespace(name)
