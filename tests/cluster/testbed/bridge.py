"""Give a bed an address at which its real nodes, their pods and this machine meet."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import psutil

from testbed.errors import BedError

_IPV4 = re.compile(r"[0-9.]+(/\d+)?$")  # not "default", not IPv6
LOOPBACK = IPv4Network("127.0.0.0/8")
# Below them lie the Services' addresses (10.96) and those that fake pods claim (10.0).
CHOICE = range(200 << 8, 250 << 8)  # the two middle bytes


@dataclass(frozen=True, slots=True)
class Bridge:
    """A network of the bed's own."""

    name: str
    address: str  # this machine's, the first of its /24


def make_bridge(name: str, *, run: Path) -> Bridge:
    """Make a bridge in a free /24; its name goes to `run`/links first, so that it can be removed.

    Raises BedError where this process may not, or has no `ip`.
    """
    if os.geteuid() != 0 or shutil.which("ip") is None:
        raise BedError("a bridge takes root and the command `ip` (package iproute2)")
    address = str(free_network(_taken())[1])
    with (run / "links").open("a") as links:
        links.write(f"{name}\n")
    _ip("link", "add", name, "type", "bridge")
    _ip("address", "add", f"{address}/24", "dev", name)
    _ip("link", "set", name, "up")
    return Bridge(name=name, address=address)


def free_network(taken: Iterable[IPv4Network]) -> IPv4Network:
    """Choose a network that overlaps none of those taken, at random for two who choose at once."""
    taken = list(taken)
    for number in random.sample(CHOICE, len(CHOICE)):
        chosen = IPv4Network(f"10.{number >> 8}.{number & 255}.0/24")
        if not any(chosen.overlaps(each) for each in taken):
            return chosen
    raise BedError("no network from 10.200.0.0/24 to 10.249.255.0/24 is free on this machine")


def machine_address() -> str:
    """Give an address of this machine that is not loopback, else loopback."""
    inet = [
        each.address
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if each.family.name == "AF_INET" and IPv4Address(each.address) not in LOOPBACK
    ]
    return inet[0] if inet else "127.0.0.1"


def _taken() -> list[IPv4Network]:
    routes = json.loads(_ip("-json", "route", "show", "table", "all"))
    places = [str(route.get("dst", "default")) for route in routes]
    return [
        IPv4Network(each, strict=False) for each in places if each[0].isdigit() and ":" not in each
    ]


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BedError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout
