"""Fixtures of real nodes, and of what their pods are made of."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed.fixtures import OWN_KUBECONFIG

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

    from testbed.control import ControlPlane
    from testbed.environment import Environment
    from testbed.pods import Pods
    from testbed.real import RealNodes
    from testbed.volumes import Shown

NODES = 2
BUILT = {"trainer": "trainer", "stack_node": "trainer", "client_node": "client"}  # roles of images


def pytest_collection_finish(session: pytest.Session) -> None:
    """Make the images that the chosen tests need, before a test's time limit runs."""
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if session.config.option.collectonly or OWN_KUBECONFIG in os.environ:
        return
    from testbed.errors import BedError
    from testbed.real import missing_for_real_nodes

    if wanted.isdisjoint({"pods", "real_nodes", *BUILT}) or missing_for_real_nodes():
        return
    from testbed.base_image import python_image
    from testbed.trainer_image import build_trainer

    with suppress(BedError):  # told by the tests that need it
        base = python_image()
        for role in sorted({BUILT[name] for name in wanted & BUILT.keys()}):
            build_trainer(base, role=role)


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


@pytest.fixture
def machine_environment(pods: Pods) -> Iterator[Environment]:
    """Give what a pod needs to run this machine's own Python with torch and `sweep`."""
    from testbed.environment import Environment, environment_folders
    from testbed.volumes import shown

    if OWN_KUBECONFIG in os.environ:
        pytest.skip(f"shows this machine's folders, which those of {OWN_KUBECONFIG} do not have")
    with shown(pods, environment_folders()) as folders:
        yield Environment(folders)


@pytest.fixture
def open_folder(pods: Pods, tmp_path: Path) -> Iterator[tuple[Path, Shown]]:
    """Give a folder of this machine that a pod may write to, and what shows it to a pod."""
    from testbed.volumes import shown

    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with shown(pods, [folder], writable=True) as folders:
        yield folder, folders


@dataclass(frozen=True, slots=True)
class Trainer:
    """The Dockerfile's image, on a node that has it."""

    image: str
    node: str


@pytest.fixture(scope="session")
def trainer(real_nodes: RealNodes) -> Trainer:
    """Build the Dockerfile's image and start one more node, which has it."""
    from testbed.base_image import python_image
    from testbed.image import shell_image
    from testbed.trainer_image import build_trainer

    base = python_image()
    built = build_trainer(base)
    node = real_nodes.add([shell_image(), base], built=built)
    return Trainer(image=built.name, node=node.name)


@pytest.fixture(scope="session")
def stack_node(real_nodes: RealNodes) -> Trainer:
    """Start one more node, which has the trainer's image and those that the chart names."""
    return _stack_node(real_nodes, "trainer", kind="stack")


@pytest.fixture(scope="session")
def client_node(real_nodes: RealNodes) -> Trainer:
    """Start one more node, which has the client's image and those that the chart names."""
    return _stack_node(real_nodes, "client", kind="client")


def _stack_node(nodes: RealNodes, role: str, *, kind: str) -> Trainer:
    import yaml

    from testbed.base_image import python_image
    from testbed.image import shell_image
    from testbed.stack_images import stack_images
    from testbed.trainer_image import REPOSITORY, build_trainer

    base = python_image()
    built = build_trainer(base, role=role)
    values = yaml.safe_load((REPOSITORY / "charts" / "sweep" / "values.yaml").read_text())
    minio = values["minio"]
    stack = stack_images(
        postgres=values["postgres"]["image"], minio=minio["image"], client=minio["clientImage"]
    )
    node = nodes.add([shell_image(), base, *stack], built=built, kind=kind)
    return Trainer(image=built.name, node=node.name)
