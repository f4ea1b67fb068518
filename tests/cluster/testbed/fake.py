"""Add nodes that claim what one likes: KWOK plays them, the player runs their pods' containers."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from testbed.binaries import binary
from testbed.control import ControlPlane
from testbed.errors import BedError
from testbed.playing import KIND, LOST, PLAYS, Playing
from testbed.processes import Process, free_port, listening

STAGES = Path(__file__).parent / "stages"
PACKAGES = Path(__file__).parents[1]
LEASE_S = 16  # as the control plane's grace: renewed every quarter of it
WORKER = ("python", "-m", "sweep.worker")
NODE_INFO = {  # every field has to be there
    "architecture": "amd64",
    "bootID": "",
    "containerRuntimeVersion": "testbed://1",
    "kernelVersion": "",
    "kubeProxyVersion": "",
    "kubeletVersion": "v1.36.3",
    "machineID": "",
    "operatingSystem": "linux",
    "osImage": "",
    "systemUUID": "",
}
READY_S = 20.0
POLL_S = 0.05
Taint = Mapping[str, str]


class FakeNodes:
    """Nodes of one control plane, whose pods run as processes of this machine.

    What a pod does is its container's own command, unless an annotation says otherwise:
    testbed/command (JSON list of words) runs that instead; testbed/plays (exit, OOMKilled,
    Evicted, hang or ImagePullBackOff) runs nothing. testbed/after ("2s") delays an ending,
    testbed/exit-code belongs to `exit`. testbed/plays may be set while a pod runs.
    """

    def __init__(self, control: ControlPlane, *, entrypoint: Sequence[str] = WORKER) -> None:
        self.control = control
        self._port = free_port(control.host)
        self._made = 0
        self.kwok = self._kwok()
        self.player = self._player(entrypoint)

    def start(self) -> FakeNodes:
        """Start KWOK and the player; they take pods of nodes that are added later."""
        self.kwok.start(wait=False)
        self.player.start()
        self.kwok.wait_ready()
        return self

    def stop(self) -> None:
        """Kill both, and what the player runs."""
        self.player.stop()
        self.kwok.kill()

    def add(
        self,
        count: int = 1,
        *,
        cpu: str = "8",
        memory: str = "32Gi",
        gpus: int = 0,
        labels: Mapping[str, str] | None = None,
        taints: Sequence[Taint] = (),
    ) -> list[str]:
        """Add nodes and wait until they are Ready; return their names."""
        names = [f"fake-{self._made + each}" for each in range(1, count + 1)]
        self._made += count
        resources = {"cpu": cpu, "memory": memory, "pods": "1000"}
        if gpus:
            resources["nvidia.com/gpu"] = str(gpus)
        for name in names:
            self._core.create_node(self._node(name, resources, labels=labels or {}, taints=taints))
        for name in names:
            self._wait(name, ready=True)
        return names

    def make(self, pod: str, *, namespace: str, play: str) -> None:
        """Let a pod that runs die as OOMKilled or Evicted; its process is killed."""
        body = {"metadata": {"annotations": {PLAYS: play}}}
        self._core.patch_namespaced_pod(pod, namespace, body)

    def logs(self, pod: str, *, namespace: str) -> list[Path]:
        """Find what pods of that name have written, whatever the API knows of them."""
        return list((self.control.bed.folder / "pods").glob(f"{namespace}_{pod}_*/log"))

    def remove_all(self) -> None:
        """Delete the nodes; the processes of their pods end."""
        self._core.delete_collection_node(label_selector=f"{KIND}=fake")

    def lose(self, name: str, *, processes: Literal["go on", "end"]) -> None:
        """Hear no more of a node: it turns NotReady at once, as after the controller's grace.

        Processes that go on are those behind a cut cable; they end where its power was cut.
        """
        self._label(name, "on" if processes == "go on" else "off")
        unknown = {
            "type": "Ready",
            "status": "Unknown",
            "reason": "NodeStatusUnknown",
            "message": "Kubelet stopped posting node status.",
        }
        self._core.patch_node_status(name, {"status": {"conditions": [unknown]}})
        self._wait(name, ready=False)

    def bring_back(self, name: str) -> None:
        """Hear of a node again."""
        self._label(name, None)
        self._wait(name, ready=True)

    @cached_property
    def _core(self) -> Any:
        from kubernetes import client, config

        return client.CoreV1Api(config.new_client_from_config(str(self.control.kubeconfig)))

    def _label(self, name: str, value: str | None) -> None:
        self._core.patch_node(name, {"metadata": {"labels": {LOST: value}}})

    def _wait(self, name: str, *, ready: bool) -> None:
        until = time.monotonic() + READY_S
        while True:
            conditions = self._core.read_node(name).status.conditions or []
            found = next((each.status for each in conditions if each.type == "Ready"), None)
            if (found == "True") == ready:
                return
            if time.monotonic() > until:
                raise BedError(f"node {name} says Ready={found} after {READY_S:.0f} s")
            time.sleep(POLL_S)

    def _node(
        self,
        name: str,
        resources: Mapping[str, str],
        *,
        labels: Mapping[str, str],
        taints: Sequence[Taint],
    ) -> dict[str, Any]:
        named = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", KIND: "fake"}
        return {
            "metadata": {"name": name, "labels": named | dict(labels)},
            "spec": {"taints": [dict(each) for each in taints]},
            "status": {
                "capacity": dict(resources),
                "allocatable": dict(resources),
                "addresses": [
                    {"type": "InternalIP", "address": self.control.host},
                    {"type": "Hostname", "address": name},
                ],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": self._port}},
                "nodeInfo": NODE_INFO,
            },
        }

    def _kwok(self) -> Process:
        port = free_port()
        kubeconfig = self.control.kubeconfig_for("kwok", groups=["system:masters"])
        command = [
            str(binary("kwok")),
            f"--kubeconfig={kubeconfig}",
            f"--manage-nodes-with-label-selector={KIND}=fake,!{LOST}",
            f"--node-lease-duration-seconds={LEASE_S}",
            f"--server-address=127.0.0.1:{port}",
            *(f"--config={stage}" for stage in sorted(STAGES.glob("*.yaml"))),
        ]
        return Process("kwok", command, self.control.bed.folder, ready=lambda: listening(port))

    def _player(self, entrypoint: Sequence[str]) -> Process:
        control = self.control
        who = control.credential("player", groups=["system:masters"], hosts=[control.host])
        folder = control.bed.folder / "pods"
        folder.mkdir()
        playing = Playing(
            server=control.server,
            ca=str(control.ca),
            certificate=str(who.certificate),
            key=str(who.key),
            host=control.host,
            port=self._port,
            folder=str(folder),
            entrypoint=list(entrypoint),
        )
        file = playing.save(control.folder / "player.json")
        return Process(
            "player",
            [sys.executable, "-m", "testbed", "play", str(file)],
            control.bed.folder,
            cwd=PACKAGES,
            ready=lambda: listening(self._port, control.host),
        )
