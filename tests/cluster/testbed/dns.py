"""Answer pods' questions for Services, at the bridge's address."""

from __future__ import annotations

from testbed.binaries import binary
from testbed.control import ControlPlane
from testbed.node_files import CLUSTER_DOMAIN
from testbed.processes import Process, listening

PORT = 53  # pods ask at no other
COREFILE = """\
.:{port} {{
  bind {address}
  errors
  kubernetes {domain} in-addr.arpa {{
    kubeconfig {kubeconfig}
  }}
}}
"""


def start_dns(control: ControlPlane) -> Process:
    """Start CoreDNS; names outside the cluster are refused, as nothing may leave the machine."""
    folder = control.bed.folder / "dns"
    folder.mkdir(exist_ok=True)
    corefile = folder / "Corefile"
    corefile.write_text(
        COREFILE.format(
            port=PORT,
            address=control.bed.address,
            domain=CLUSTER_DOMAIN,
            kubeconfig=control.kubeconfig,
        )
    )
    return Process(
        "coredns",
        [str(binary("coredns")), "-conf", str(corefile)],
        control.bed.folder,
        ready=lambda: listening(PORT, control.bed.address),
    ).start()
