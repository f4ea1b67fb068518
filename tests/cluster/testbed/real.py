"""Run real nodes: containerd, kubelet and kube-proxy in namespaces of their own."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from kubernetes.client import ApiException, CoreV1Api
from kubernetes.config import new_client_from_config

from testbed.binaries import binary
from testbed.cgroups import make_cgroups, remove_cgroups, wait_empty
from testbed.control import ControlPlane
from testbed.errors import BedError
from testbed.image import Image
from testbed.network import (
    NodeNetwork,
    make_network,
    plan_network,
    plug,
    remove_network,
    unplug,
)
from testbed.node_files import write_node_files
from testbed.processes import Process
from testbed.seed import ALONE, plant, seed
from testbed.snapshots import BuiltImage

INIT = Path(__file__).with_name("node_init.sh")
PROGRAMS = (
    *("containerd", "ctr", "runc", "iptables", "ip", "nsenter", "unshare", "conntrack"),
    *("debootstrap", "buildah", "busybox"),  # the images
)
LABEL = "testbed/kind=real"


@dataclass(frozen=True, slots=True)
class RealNode:
    """One node: where it is, and the process that everything on it descends from."""

    name: str
    network: NodeNetwork
    process: Process
    folder: Path  # its disk

    @property
    def address(self) -> str:
        """Give the address of its kubelet."""
        return str(self.network.address)

    def log_of(self, namespace: str, pod: str) -> Path:
        """Find what a pod's container prints, also where nobody can ask the node."""
        (folder,) = (self.folder / "pod-logs").glob(f"{namespace}_{pod}_*")
        (file,) = folder.glob("*/0.log")
        return file


class RealNodes:
    """The real nodes of one cluster, which can be killed, started again and cut off."""

    def __init__(self, control: ControlPlane) -> None:
        self.control = control
        self._nodes: dict[str, RealNode] = {}
        self._connection = new_client_from_config(str(control.kubeconfig))
        self._nodes_api = CoreV1Api(self._connection)

    def __iter__(self) -> Iterator[RealNode]:
        return iter(self._nodes.values())

    def __getitem__(self, name: str) -> RealNode:
        return self._nodes[name]

    @property
    def names(self) -> list[str]:
        """Name the nodes, those that are down too."""
        return list(self._nodes)

    def add(
        self,
        images: Sequence[Image],
        *,
        built: BuiltImage | None = None,
        kind: str = "",
        wait: bool = True,
    ) -> RealNode:
        """Start one more node, which holds the images and pulls none.

        `kind` names the set of images, of which one is kept unpacked on this machine.
        Raises BedError with the log's end where it does not become ready.
        """
        bed = self.control.bed
        if bed.bridge is None:
            raise BedError(f"real nodes take root and {', '.join(PROGRAMS)}")
        place = len(self._nodes) + 1
        network = plan_network(bed.name, bridge=bed.bridge, place=place)
        name = f"real-{place}"
        folder = bed.folder / "nodes" / name
        plant(seed(images, built=built, kind=kind), folder / "containerd")
        make_network(network, run=bed.run, others=[node.network for node in self])
        make_cgroups(network.name, run=bed.run)
        process = self._process(name, network=network, folder=folder)
        node = self._nodes[name] = RealNode(name, network, process, folder)
        self._start(node, wait=wait)
        return node

    def wait_ready(self) -> None:
        """Wait for all nodes that were added without waiting."""
        for node in self:
            node.process.wait_ready()

    def kill(self, name: str) -> None:
        """Take a node's power away; its disk stays."""
        node = self._nodes[name]
        node.process.kill()
        wait_empty(node.network.name)

    def start(self, name: str) -> None:
        """Start a killed node; return when the API server hears of it again."""
        self._start(self._nodes[name], wait=True)

    @contextmanager
    def down(self, name: str) -> Iterator[None]:
        """Have a node killed, and started again at the end."""
        self.kill(name)
        try:
            yield
        finally:
            self.start(name)

    @contextmanager
    def cut_off(self, name: str) -> Iterator[None]:
        """Have a node parted from all others while its containers go on, and joined at the end."""
        node = self._nodes[name]
        unplug(node.network)
        try:
            yield
        finally:
            self._expect(node)
            plug(node.network)
            node.process.wait_ready()

    def stop(self) -> None:
        """Kill all nodes and remove what they leave on the machine."""
        for node in self:
            self.kill(node.name)
            remove_cgroups(node.network.name)
            remove_network(node.network)
        self._connection.close()

    def _start(self, node: RealNode, *, wait: bool) -> None:
        self._expect(node)
        node.process.start(wait=wait)

    def _expect(self, node: RealNode) -> None:
        # What the API server heard before tells of an earlier life. It has times to the second.
        since = dt.datetime.now(dt.UTC).replace(microsecond=0)
        node.process.ready = lambda: self._reports(node.name, since=since)

    def _reports(self, name: str, *, since: dt.datetime) -> bool:
        try:
            status = self._nodes_api.read_node(name).status
        except ApiException as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return False
            raise
        return any(
            each.type == "Ready" and each.status == "True" and each.last_heartbeat_time >= since
            for each in status.conditions or []
        )

    def _process(self, name: str, *, network: NodeNetwork, folder: Path) -> Process:
        kubeconfig = write_node_files(
            folder, name=name, network=network, cgroup=network.name, control=self.control
        )
        kubelet = [
            f"--kubeconfig={kubeconfig}",
            f"--root-dir={folder}/kubelet",
            f"--cert-dir={folder}/pki",
            f"--hostname-override={name}",
            f"--node-ip={network.address}",
            f"--node-labels={LABEL}",
        ]
        program = [str(INIT), str(folder), str(binary("kube"))]
        return Process(
            name,
            [*network.entered, *ALONE, *program, *kubelet],
            self.control.bed.folder,
        )


def missing_for_real_nodes() -> str | None:
    """Say what this machine lacks for real nodes, if anything."""
    if os.geteuid() != 0:
        return "real nodes take root"
    absent = [each for each in PROGRAMS if shutil.which(each) is None]
    return f"real nodes take {', '.join(absent)}" if absent else None
