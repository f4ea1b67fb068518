"""Give a part of the bed a network of its own, joined to the bed's bridge by one link."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from testbed.bridge import Bridge
from testbed.errors import BedError

MOST_NODES = 7
POD_PREFIX = 27  # of the bed's /24: one eighth for the machine and the nodes, one for each's pods


@dataclass(frozen=True)
class Network:
    """Where a part of the bed lives, and how the machine reaches it."""

    name: str  # of the network namespace
    link: str  # the machine's end; the other is eth0
    bridge: str
    gateway: IPv4Address  # the bridge's address
    address: IPv4Address

    @property
    def entered(self) -> list[str]:
        """Give the words that run a command in it.

        `ip netns exec` would mount a fresh /sys, which hides the cgroups.
        """
        return ["nsenter", f"--net=/run/netns/{self.name}"]


@dataclass(frozen=True)
class NodeNetwork(Network):
    """Where a node lives, and its pods."""

    pods: IPv4Network


def plan_alone(bed: str, *, bridge: Bridge) -> Network:
    """Choose name and address for what is no node, the one process of its network."""
    gateway = IPv4Address(bridge.address)
    return Network(
        name=f"{bed}-alone",
        link=f"{bridge.name}a",
        bridge=bridge.name,
        gateway=gateway,
        address=gateway + MOST_NODES + 1,
    )


def plan_network(bed: str, *, bridge: Bridge, place: int) -> NodeNetwork:
    """Choose names and addresses for a bed's node number `place`, from 1.

    All lie in the bridge's /24, so that beds which differ there differ everywhere.
    """
    if not 1 <= place <= MOST_NODES:
        raise BedError(f"a bed's network has room for {MOST_NODES} nodes")
    gateway = IPv4Address(bridge.address)
    parts = list(IPv4Network(f"{gateway}/24", strict=False).subnets(new_prefix=POD_PREFIX))
    return NodeNetwork(
        name=f"{bed}-{place}",
        link=f"{bridge.name}n{place}",
        bridge=bridge.name,
        gateway=gateway,
        address=gateway + place,
        pods=parts[place],
    )


def make_network(network: NodeNetwork, *, run: Path, others: Sequence[NodeNetwork]) -> None:
    """Make the namespace and its link, and routes between its pods, the machine and the others'."""
    join(network, run=run)
    _route(network)
    for other in others:
        _route(network, inside=other.name)
        _route(other, inside=network.name)


def join(network: Network, *, run: Path) -> None:
    """Make the namespace and its link to the bridge."""
    note(run, "netns", network.name)
    note(run, "links", network.link)
    _ip("netns", "add", network.name)
    _ip("link", "add", network.link, "type", "veth", "peer", "eth0", "netns", network.name)
    _ip("link", "set", network.link, "master", network.bridge, "up")
    inside = ("-netns", network.name)
    _ip(*inside, "link", "set", "lo", "up")
    _ip(*inside, "address", "add", f"{network.address}/24", "dev", "eth0")
    _ip(*inside, "link", "set", "eth0", "up")
    _ip(*inside, "route", "add", "default", "via", str(network.gateway))


def unplug(network: NodeNetwork) -> None:
    """Part the node from everybody; what runs on it goes on."""
    _ip("link", "set", network.link, "down")


def plug(network: NodeNetwork) -> None:
    """Join it again."""
    _ip("link", "set", network.link, "up")


def remove_network(network: Network) -> None:
    """Remove the namespace and with it the link; routes to it end with the bridge."""
    for words in (("link", "del", network.link), ("netns", "del", network.name)):
        with suppress(BedError):  # gone already, or never made
            _ip(*words)


def note(run: Path, kind: str, name: str) -> None:
    """Write down what is about to be made, so that whoever takes the bed down finds it."""
    with (run / kind).open("a") as names:
        names.write(f"{name}\n")


def _route(to: NodeNetwork, *, inside: str | None = None) -> None:
    words = ("route", "replace", str(to.pods), "via", str(to.address))
    _ip(*(("-netns", inside) if inside else ()), *words)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BedError(f"ip {' '.join(words)}: {done.stderr.strip()}")
