"""Give Kueue an address and a file tree of its own, as a pod would, where this process may."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from testbed.binaries import binary
from testbed.control import ControlPlane
from testbed.network import join, plan_alone
from testbed.processes import free_port

# Kueue's visibility server lets one choose neither its port, nor the folder of its certificates,
# nor the way in which it finds the API server: it takes them as they are in its pod.
VISIBILITY_PORT = 8082
CERTIFICATES = "visibility"
ACCOUNT_FILES = Path("var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Ground:
    """Where Kueue's process stands: among those of this machine, or by itself."""

    address: str
    webhook_port: int
    health_port: int
    command: list[str]  # of Kueue, without its flags
    root: Path = Path("/")  # of the files that it sees
    alone: bool = False  # as its pod is, so that all its servers can listen
    env: Mapping[str, str] = field(default_factory=dict)

    def seen(self, file: Path) -> Path:
        """Give the path by which Kueue knows a file."""
        return Path("/") / file.relative_to(self.root)

    def log_in(self, control: ControlPlane, *, token: str) -> None:
        """Show Kueue a service account's token where a pod finds its own."""
        folder = self.root / ACCOUNT_FILES
        folder.mkdir(parents=True)
        (folder / "ca.crt").write_bytes(control.ca.read_bytes())
        (folder / "token").touch(mode=0o600)
        (folder / "token").write_text(token)


def stand_among_others(control: ControlPlane) -> Ground:
    """Let Kueue run beside what else this machine runs; its visibility server has to stay off."""
    kubeconfig = control.kubeconfig_for("kueue", groups=["system:masters"])
    return Ground(
        address="127.0.0.1",
        webhook_port=free_port(),
        health_port=free_port(),
        command=[str(binary("kueue"))],
        env={"KUBECONFIG": str(kubeconfig)},
    )


def stand_alone(control: ControlPlane, *, root: Path) -> Ground:
    """Make Kueue a network on the bed's bridge, and a root folder with nothing but its program."""
    bed = control.bed
    assert bed.bridge is not None
    network = plan_alone(bed.name, bridge=bed.bridge)
    join(network, run=bed.run)
    (root / CERTIFICATES).mkdir(parents=True)
    shutil.copy(binary("kueue"), root / "kueue")
    return Ground(
        address=str(network.address),
        webhook_port=9443,
        health_port=8081,
        command=[*network.entered, "chroot", str(root), "/kueue"],
        root=root,
        alone=True,
        env={
            "KUBECONFIG": "",  # the service account's token counts
            "KUBERNETES_SERVICE_HOST": control.host,
            "KUBERNETES_SERVICE_PORT": str(control.port),
        },
    )
