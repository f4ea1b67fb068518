"""Reach a Service from outside of its cluster, through the API server."""

from __future__ import annotations

import logging
import re
import select
import socket
import socketserver
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sweep.cluster.api import Api, Away, Body, Refused
from sweep.errors import BadInput
from sweep.plan.diagnosis import running

log = logging.getLogger(__name__)

SERVICE = re.compile(r"(?P<name>[a-z0-9-]+)(\.(?P<namespace>[a-z0-9-]+)(\.svc(\..*)?)?)?")
CHUNK = 1 << 16
FAREWELL_S = 0.5
LAST_BYTES_S = 10.0


@dataclass(frozen=True, slots=True)
class Target:
    """A port of a pod that answers for a Service."""

    pod: str
    port: int


def forward(api: Api, url: str) -> str:
    """Open a local port that leads to a Service's URL, as long as this process lives.

    Each connection is led to a pod that runs at that time, so a pod's restart costs no more than
    the connections that it had. Returns the URL to use instead. Raises BadInput where the URL
    names no Service of the release's namespace.
    """
    parts = urlsplit(url)
    name = _service(parts.hostname or "", api.namespace, url)
    wanted = _port(url)
    find_target(api, name, wanted)  # a mistake is told now
    server = _Server(("127.0.0.1", 0), _Connection)
    server.api, server.service, server.wanted = api, name, wanted
    threading.Thread(target=server.serve_forever, daemon=True, name=f"forward {name}").start()
    return parts._replace(netloc=f"127.0.0.1:{server.server_address[1]}").geturl()


def again(api: Api, url: str, way: str) -> str:
    """Write the command that opens a way once more, after this process has ended."""
    name = _service(urlsplit(url).hostname or "", api.namespace, url)
    ports = f"{urlsplit(way).port}:{_port(url)}"
    return f"kubectl -n {api.namespace} port-forward service/{name} {ports}"


def find_target(api: Api, service: str, port: int) -> Target:
    """Choose a running pod of a Service, and the port by which it serves `port`.

    Raises BadInput where there is none, Away.
    """
    try:
        body = api.get(f"v1/services/{service}")
        selector = ",".join(f"{k}={v}" for k, v in (body["spec"].get("selector") or {}).items())
        pods, _ = api.list("v1/pods", selector=selector)
    except Refused as error:
        raise BadInput(f"Service {service} in {api.namespace}: {error}") from None
    found = next((entry for entry in body["spec"]["ports"] if entry["port"] == port), None)
    if found is None or not selector:
        raise BadInput(f"Service {service} in {api.namespace} has no port {port} that pods serve")
    living = [pod for pod in pods if running(pod) and "deletionTimestamp" not in pod["metadata"]]
    if not living:
        raise BadInput(f"no pod of Service {service} in {api.namespace} runs; is the stack up?")
    target = found.get("targetPort", port)
    pod = living[0]
    return Target(pod["metadata"]["name"], _number(pod, target, port))


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    api: Api
    service: str
    wanted: int


class _Connection(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        from kubernetes.client import ApiClient, CoreV1Api
        from kubernetes.client.exceptions import ApiException
        from kubernetes.stream import portforward

        api = self.server.api
        # A client of its own: `portforward` changes the one that it is given while it connects.
        with ApiClient(api.client.configuration) as own:
            try:
                target = find_target(api, self.server.service, self.server.wanted)
                tunnel = portforward(
                    CoreV1Api(own).connect_get_namespaced_pod_portforward,
                    target.pod,
                    api.namespace,
                    ports=str(target.port),
                )
            except (ApiException, Away, BadInput, OSError) as error:
                log.info("no tunnel to %s: %s", self.server.service, error)
                return  # the connection closes, and whoever asked asks again
        far = tunnel.socket(target.port)
        try:
            _pump(self.request, far)
        finally:
            far.close()
            _hang_up(tunnel)


def _pump(near: socket.socket, far: Any) -> None:
    far.settimeout(None)
    open_ends = {near.fileno(): (near, far), far.fileno(): (far, near)}
    while True:
        ready, _, _ = select.select(list(open_ends), [], [])
        for number in ready:
            source, sink = open_ends[number]
            try:
                data = source.recv(CHUNK)
                if not data:
                    return
                sink.sendall(data)
            except OSError:
                return


def _hang_up(tunnel: Any) -> None:
    # Its thread sends what is left and ends, but leaves the socket open where the far end had
    # closed first.
    until = time.monotonic() + LAST_BYTES_S
    while tunnel.connected and time.monotonic() < until:
        time.sleep(0.05)
    # It calls itself unconnected just before it answers the other side's farewell.
    time.sleep(FAREWELL_S)
    tunnel.websocket.shutdown()


def _service(host: str, namespace: str, url: str) -> str:
    match = SERVICE.fullmatch(host)
    if match is None or (match["namespace"] or namespace) != namespace:
        raise BadInput(
            f"{url} is no Service of namespace {namespace}, so no port-forward leads there; name "
            "an address for people in the release"
        )
    return match["name"]


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def _number(pod: Body, target: int | str, port: int) -> int:
    if isinstance(target, int):
        return target
    for container in pod["spec"]["containers"]:
        for entry in container.get("ports") or ():
            if entry.get("name") == target:
                return int(entry["containerPort"])
    return port
