"""A client reaches a Service through the API server where people have no address of it."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from kubernetes import client, config
from release_objects import install
from testbed.control import ControlPlane
from testbed.pods import PYTHON, Pods, container, pod_spec
from testbed.waiting import until

from sweep.cluster.api import Api
from sweep.cluster.forwarding import forward
from sweep.errors import BadInput

pytestmark = [pytest.mark.node, pytest.mark.slow]

LABELS = {"app": "web"}
SERVER = """
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b"x" * int(self.path[1:]))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(hashlib.sha256(body).hexdigest().encode())

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""


@pytest.fixture
def api(control_plane: ControlPlane, pods: Pods) -> Iterator[Api]:
    """Speak as a submitter."""
    install(pods.api, pods.namespace, release={}, keys={})
    settings = client.Configuration()
    file = control_plane.kubeconfig_of_account(pods.namespace, "sweep-submitter")
    config.load_kube_config(str(file), client_configuration=settings)
    with client.ApiClient(settings) as connection:
        yield Api(connection, pods.namespace, "the test bed")


@pytest.fixture
def url(pods: Pods) -> str:
    """Give the address by which pods know a Service with one pod."""
    start_server(pods, "one")
    ports = [{"port": 80, "targetPort": "http"}]
    service = {"metadata": {"name": "web"}, "spec": {"selector": LABELS, "ports": ports}}
    pods.core.create_namespaced_service(pods.namespace, service)
    return f"http://web.{pods.namespace}.svc.cluster.local"


def start_server(pods: Pods, name: str) -> None:
    main = container(["python", "-c", SERVER], image=PYTHON)
    main["ports"] = [{"name": "http", "containerPort": 8000}]
    pods.create(name, pod_spec(main), labels=LABELS)
    pods.wait_running(name)


def fetch(url: str, data: bytes | None = None) -> bytes:
    """Ask until the server listens."""

    def ask() -> bytes | None:
        try:
            with urllib.request.urlopen(url, data, timeout=20) as answer:
                body: bytes = answer.read()
                return body
        except (urllib.error.URLError, ConnectionError):
            return None

    found = until(ask, holds=lambda body: body is not None)
    assert found is not None
    return found


def test_what_is_sent_either_way_arrives_whole(api: Api, url: str) -> None:
    way = forward(api, url)
    sent = bytes(range(256)) * 20_000

    assert way.startswith("http://127.0.0.1:")
    assert fetch(f"{way}/5000000") == b"x" * 5_000_000
    assert fetch(way, sent).decode() == hashlib.sha256(sent).hexdigest()


def test_many_connections_do_not_disturb_each_other(api: Api, url: str) -> None:
    way = forward(api, url)
    fetch(f"{way}/1")

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda size: fetch(f"{way}/{size}"), range(100_000, 100_024)))

    assert [len(body) for body in found] == list(range(100_000, 100_024))


def test_a_pod_that_took_another_s_place_is_found(api: Api, url: str, pods: Pods) -> None:
    way = forward(api, url)
    fetch(f"{way}/1")

    pods.core.delete_namespaced_pod("one", pods.namespace, grace_period_seconds=0)
    start_server(pods, "two")

    assert fetch(f"{way}/3") == b"xxx"


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ("http://web.elsewhere.svc", "is no Service of namespace"),
        ("http://web:81", "has no port 81 that pods serve"),
        ("http://other", 'services "other" not found'),
    ],
)
def test_a_wrong_address_is_refused_at_once(api: Api, url: str, wrong: str, line: str) -> None:
    with pytest.raises(BadInput, match=line):
        forward(api, wrong)


def test_a_service_without_a_pod_that_runs_is_told(api: Api, url: str, pods: Pods) -> None:
    pods.core.delete_namespaced_pod("one", pods.namespace, grace_period_seconds=0)

    with pytest.raises(BadInput, match=r"no pod of Service web in .* runs"):
        forward(api, url)
