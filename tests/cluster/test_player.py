"""The player runs what a pod says, and tells of its end as a kubelet would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psutil
import pytest
from kubernetes import client
from kubernetes.client import ApiClient, V1Pod
from testbed.fake import FakeNodes
from testbed.waiting import until
from testbed.workloads import make_pod

pytestmark = [pytest.mark.kube, pytest.mark.slow]

Start = Callable[[dict[str, Any]], None]
UNTIL_TOLD = "trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done"
MACHINE = {"HOME", "HOSTNAME", "LANG", "OLDPWD", "PATH", "PWD", "SWEEP_BED", "TMPDIR", "_"}
DEAF = "trap '' TERM; echo up; while :; do sleep 0.05; done"


@pytest.fixture
def core(api_client: ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(api_client)


@pytest.fixture
def start(fake_nodes: FakeNodes, core: client.CoreV1Api, namespace: str) -> Start:
    """Create a pod on a node of its own."""
    fake_nodes.add()
    return lambda pod: core.create_namespaced_pod(namespace, pod)


def shell(script: str, **spec: Any) -> dict[str, Any]:
    return make_pod(command=["sh", "-c", script], **spec)


def ended(core: client.CoreV1Api, namespace: str) -> V1Pod:
    return until(
        lambda: core.read_namespaced_pod("pod", namespace),
        holds=lambda pod: pod.status.phase in ("Succeeded", "Failed"),
    )


def said(core: client.CoreV1Api, namespace: str, text: str) -> str:
    """Wait until the pod has said it."""
    until(
        lambda: core.read_namespaced_pod("pod", namespace),
        holds=lambda pod: pod.status.phase != "Pending",
    )
    return until(
        lambda: core.read_namespaced_pod_log("pod", namespace), holds=lambda log: text in log
    )


def code(pod: V1Pod) -> tuple[int, str]:
    terminated = pod.status.container_statuses[0].state.terminated
    return terminated.exit_code, terminated.reason


def processes_of(namespace: str) -> list[int]:
    """Find processes whose words hold the namespace's name."""
    return [
        each.pid
        for each in psutil.process_iter(["cmdline"])
        if namespace in " ".join(each.info["cmdline"] or ())
    ]


@pytest.mark.parametrize(
    ("script", "phase", "end"),
    [
        ("exit 0", "Succeeded", (0, "Completed")),
        ("exit 65", "Failed", (65, "Error")),
        ("kill -9 $$$$", "Failed", (137, "Error")),  # Kubernetes makes one $ of two
    ],
)
def test_an_exit_code_is_told(
    start: Start,
    core: client.CoreV1Api,
    namespace: str,
    script: str,
    phase: str,
    end: tuple[int, str],
) -> None:
    start(shell(script))

    pod = ended(core, namespace)

    assert (pod.status.phase, code(pod)) == (phase, end)


def test_a_program_that_is_not_there_is_a_start_error(
    start: Start, core: client.CoreV1Api, namespace: str
) -> None:
    start(make_pod(command=["no-such-program"]))

    assert code(ended(core, namespace)) == (128, "StartError")


def test_a_pod_without_a_command_runs_the_worker(
    start: Start, core: client.CoreV1Api, namespace: str
) -> None:
    start(make_pod())

    pod = ended(core, namespace)

    assert code(pod) == (64, "Error")
    assert "SWEEP_STORE is not set" in core.read_namespaced_pod_log("pod", namespace)


def test_the_environment_is_the_pods_own(
    start: Start, core: client.CoreV1Api, namespace: str
) -> None:
    core.create_namespaced_secret(
        namespace, {"metadata": {"name": "keys"}, "stringData": {"secret": "s3"}}
    )
    env = [
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "secret"}}},
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "BOTH", "value": "$(NAME)-$(KEY)"},
    ]

    start(shell("env | sort", env=env))
    ended(core, namespace)

    log = core.read_namespaced_pod_log("pod", namespace).splitlines()
    assert {"KEY=s3", "NAME=pod", "BOTH=pod-s3"} <= set(log)
    assert {line.partition("=")[0] for line in log} <= MACHINE | {"KEY", "NAME", "BOTH"}


def test_a_secret_that_comes_late_is_waited_for(
    start: Start, core: client.CoreV1Api, namespace: str
) -> None:
    late = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "late", "key": "k"}}}]
    start(shell("exit 0", env=late))
    until(
        lambda: core.read_namespaced_pod("pod", namespace).status.container_statuses,
        holds=lambda found: found and found[0].state.waiting,
    )

    core.create_namespaced_secret(
        namespace, {"metadata": {"name": "late"}, "stringData": {"k": "v"}}
    )

    assert ended(core, namespace).status.phase == "Succeeded"


@pytest.mark.parametrize(("script", "end"), [(UNTIL_TOLD, (9, "Error")), (DEAF, (137, "Error"))])
def test_a_deleted_pod_has_its_grace(
    start: Start, core: client.CoreV1Api, namespace: str, script: str, end: tuple[int, str]
) -> None:
    pod = shell(script, grace_s=1)
    pod["metadata"]["finalizers"] = ["testbed/kept"]  # so that its status can be read
    start(pod)
    said(core, namespace, "up")

    core.delete_namespaced_pod("pod", namespace)

    assert code(ended(core, namespace)) == end
    core.patch_namespaced_pod("pod", namespace, {"metadata": {"finalizers": None}})


def test_a_pod_deleted_by_force_leaves_no_process(
    start: Start, core: client.CoreV1Api, namespace: str
) -> None:
    start(shell(f"echo up; : {namespace}; sleep 600"))
    said(core, namespace, "up")
    assert processes_of(namespace)

    core.delete_namespaced_pod("pod", namespace, grace_period_seconds=0)

    until(lambda: processes_of(namespace), holds=lambda found: not found)


def test_what_a_container_leaves_behind_ends_with_it(
    start: Start, core: client.CoreV1Api, namespace: str
) -> None:
    start(shell(f"sh -c 'sleep 600; : {namespace}' & exit 0"))

    ended(core, namespace)

    until(lambda: processes_of(namespace), holds=lambda found: not found)


def test_a_pods_deadline_ends_it(start: Start, core: client.CoreV1Api, namespace: str) -> None:
    start(shell("sleep 600", activeDeadlineSeconds=1))

    pod = ended(core, namespace)

    assert (pod.status.phase, pod.status.reason) == ("Failed", "DeadlineExceeded")


def test_an_eviction_by_the_api_is_a_disruption(
    start: Start, core: client.CoreV1Api, namespace: str
) -> None:
    pod = shell(UNTIL_TOLD)
    pod["metadata"]["finalizers"] = ["testbed/kept"]
    start(pod)
    said(core, namespace, "up")

    core.create_namespaced_pod_eviction("pod", namespace, {"metadata": {"name": "pod"}})

    pod = ended(core, namespace)
    assert code(pod) == (9, "Error")
    assert reasons(pod)["DisruptionTarget"] == "EvictionByEvictionAPI"
    core.patch_namespaced_pod("pod", namespace, {"metadata": {"finalizers": None}})


def reasons(pod: V1Pod) -> dict[str, str]:
    return {each.type: each.reason for each in pod.status.conditions}


@pytest.mark.parametrize(
    ("plays", "end", "disrupted"),
    [
        ("exit", (3, "Error"), False),
        ("OOMKilled", (137, "OOMKilled"), False),
        ("Evicted", (137, "Error"), True),
    ],
)
def test_a_death_is_played_by_annotation(
    start: Start,
    core: client.CoreV1Api,
    namespace: str,
    plays: str,
    end: tuple[int, str],
    disrupted: bool,
) -> None:
    start(make_pod(plays=plays, after="300ms", exit_code=3))

    pod = ended(core, namespace)

    assert code(pod) == end
    assert ("DisruptionTarget" in reasons(pod)) == disrupted


def test_a_running_pod_can_be_made_to_die(
    start: Start, fake_nodes: FakeNodes, core: client.CoreV1Api, namespace: str
) -> None:
    start(shell(f"echo up; : {namespace}; sleep 600"))
    said(core, namespace, "up")

    fake_nodes.make("pod", namespace=namespace, play="OOMKilled")

    assert code(ended(core, namespace)) == (137, "OOMKilled")
    until(lambda: processes_of(namespace), holds=lambda found: not found)


def test_a_pod_that_hangs_ends_with_its_grace_alone(
    start: Start, core: client.CoreV1Api, namespace: str
) -> None:
    pod = make_pod(plays="hang", grace_s=1)
    pod["metadata"]["finalizers"] = ["testbed/kept"]
    start(pod)
    until(
        lambda: core.read_namespaced_pod("pod", namespace),
        holds=lambda pod: pod.status.phase == "Running",
    )

    core.delete_namespaced_pod("pod", namespace)

    assert code(ended(core, namespace)) == (137, "Error")
    core.patch_namespaced_pod("pod", namespace, {"metadata": {"finalizers": None}})


def test_an_image_that_cannot_be_pulled_never_starts(
    start: Start, core: client.CoreV1Api, namespace: str
) -> None:
    start(make_pod(plays="ImagePullBackOff"))

    pod = until(
        lambda: core.read_namespaced_pod("pod", namespace),
        holds=lambda pod: pod.status.container_statuses,
    )

    assert pod.status.phase == "Pending"
    assert pod.status.container_statuses[0].state.waiting.reason == "ImagePullBackOff"


def test_logs_can_be_followed_to_their_end(
    start: Start, core: client.CoreV1Api, namespace: str
) -> None:
    start(shell("for each in 1 2 3; do echo $each; sleep 0.2; done"))
    said(core, namespace, "1")

    followed = core.read_namespaced_pod_log("pod", namespace, follow=True)
    last = core.read_namespaced_pod_log("pod", namespace, tail_lines=1)

    assert (followed, last) == ("1\n2\n3\n", "3\n")
