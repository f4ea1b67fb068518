"""Pods on real nodes: restricted, with logs, commands, Services and names."""

from __future__ import annotations

import pytest
from kubernetes.client import ApiException
from testbed.pods import PYTHON, Pods, container, pod_spec
from testbed.real import RealNodes

# A pod that runs may not listen yet, and a Service takes a moment to lead to it.
READ = """
import sys, time, urllib.request
until = time.monotonic() + 30
for url in sys.argv[1:]:
    while True:
        try:
            print(urllib.request.urlopen(url, timeout=2).read().decode(), end="")
            break
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
"""
SERVE = ["sh", "-c", "echo hello >/tmp/index.html; httpd -f -p 8080 -h /tmp"]

pytestmark = [pytest.mark.node, pytest.mark.slow]


def test_a_restricted_pod_runs_and_its_logs_can_be_read(pods: Pods) -> None:
    pods.create("one", pod_spec(container(["sh", "-c", "id -u; echo done"])))

    ended = pods.wait_ended("one")

    assert ended.status.phase == "Succeeded"
    assert pods.logs("one").split() == ["10001", "done"]


def test_a_command_runs_in_a_running_pod(pods: Pods) -> None:
    pods.create("one", pod_spec(container(["sleep", "600"])))
    pods.wait_running("one")

    assert pods.execute("one", "cat", "/proc/1/cmdline").split("\0")[:2] == ["sleep", "600"]


def test_a_pod_as_root_is_refused(pods: Pods) -> None:
    spec = pod_spec(container(["true"]))
    spec["securityContext"] |= {"runAsNonRoot": False, "runAsUser": 0}

    with pytest.raises(ApiException, match="violates PodSecurity") as refused:
        pods.create("root", spec)

    assert refused.value.status == 403


def test_a_pod_reads_a_service_by_its_name(pods: Pods) -> None:
    pods.create("web", pod_spec(container(SERVE)), labels={"app": "web"})
    port = {"port": 80, "targetPort": 8080}
    service = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [port]}}
    pods.core.create_namespaced_service(pods.namespace, service)
    pods.wait_running("web")

    names = ["http://web", f"http://web.{pods.namespace}.svc.cluster.local"]
    ask = container(["python", "-c", READ, *names], image=PYTHON)
    pods.create("reader", pod_spec(ask))

    assert pods.wait_ended("reader").status.phase == "Succeeded"
    assert pods.logs("reader").split() == ["hello", "hello"]


def test_a_pod_reaches_a_pod_of_another_node(pods: Pods, real_nodes: RealNodes) -> None:
    here, there = real_nodes.names
    pods.create("there", pod_spec(container(SERVE), nodeName=there))
    address = pods.wait_running("there").status.pod_ip

    ask = container(["python", "-c", READ, f"http://{address}:8080"], image=PYTHON)
    pods.create("here", pod_spec(ask, nodeName=here))

    assert pods.wait_ended("here").status.phase == "Succeeded"
    assert pods.logs("here") == "hello\n"
