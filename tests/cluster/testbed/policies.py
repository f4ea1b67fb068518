"""Hold a node's pods to their NetworkPolicies, which the network of the bed does not by itself."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from testbed.binaries import binary
from testbed.control import ControlPlane
from testbed.errors import BedError
from testbed.processes import Process
from testbed.real import RealNode

QUEUE = 100
QUEUES = "/proc/net/netfilter/nfnetlink_queue"  # a line for each that a process listens to
# The agent asks the same of nftables by itself, in vain where the kernel lacks nft_queue.
RULES = (
    "-m owner --uid-owner 0 -j RETURN",  # the node's own: kubelet's probes
    f"-m conntrack --ctstate NEW -j NFQUEUE --queue-num {QUEUE}",
)
# After a Service's address was replaced by a pod's, and before a caller's is.
TABLE, HOOK = "mangle", "POSTROUTING"


@dataclass(frozen=True, slots=True)
class Enforcement:
    """What holds one node's pods to their policies."""

    node: RealNode
    agent: Process

    def impose(self) -> None:
        """Have the agent judge every new connection.

        Raises BedError where the kernel cannot hand packets to a process.
        """
        self.agent.start()
        for rule in RULES:
            self._iptables("--append", HOOK, *rule.split())

    def lift(self) -> None:
        """Let everything pass, as without an agent."""
        self._iptables("--flush", HOOK)  # nobody else's rules stand there
        self.agent.stop()  # it removes what it made of its own

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """Let everything pass while the context lasts."""
        self.lift()
        try:
            yield
        finally:
            self.impose()

    def _iptables(self, *words: str) -> None:
        done = _run(self.node, ["iptables", "--wait", "--table", TABLE, *words])
        if done.returncode:
            raise BedError(f"iptables {' '.join(words)}: {done.stderr.strip()}")


def enforceable(node: RealNode) -> bool:
    """Tell whether the kernel can hand a node's packets to a process."""
    rule = [HOOK, *RULES[-1].split()]
    can = _run(node, ["iptables", "--wait", "--table", TABLE, "--append", *rule]).returncode == 0
    if can:
        _run(node, ["iptables", "--wait", "--table", TABLE, "--delete", *rule])
    return can


@contextmanager
def enforced(node: RealNode, control: ControlPlane) -> Iterator[Enforcement]:
    """Have an agent enforce NetworkPolicies on one node while the context lasts.

    Raises BedError where the kernel cannot hand packets to a process.
    """
    flags = [f"-node={node.name}", f"-kubeconfig={control.kubeconfig}", f"-queue={QUEUE}"]
    agent = Process(
        f"netpol-{node.name}",
        [*node.network.entered, str(binary("netpol")), *flags],
        control.bed.folder,
        ready=lambda: _listened_to(node),
    )
    enforcement = Enforcement(node, agent)
    try:
        enforcement.impose()
        yield enforcement
    finally:
        enforcement.lift()


def _listened_to(node: RealNode) -> bool:
    return _run(node, ["cat", QUEUES]).stdout != ""  # there is no such file before the first time


def _run(node: RealNode, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    command = [*node.network.entered, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)
