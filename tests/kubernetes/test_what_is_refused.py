"""What cannot run on this cluster is said in a line: by us, by the server, or while it waits."""

from __future__ import annotations

import subprocess

import pytest
from clients import Ended, finish, kill
from on_cluster import OnCluster

pytestmark = [pytest.mark.kube, pytest.mark.stack]

ON_CLUSTER = "hydra.launcher.cluster=kubernetes"
QUICK = ("x=1", "epoch_s=0", ON_CLUSTER)
PLAN = ("plan", "+experiment=forecast", "guide=none", ON_CLUSTER)
OF_THE_NODE = "hydra.launcher.volumes=[{name: disk, hostPath: {path: /}}]"
SLICE = "nvidia.com/mig-1g.10gb"


def line_with(words: str, of: subprocess.Popen[str]) -> str:
    """Read a client's lines up to one that says this, then end the client."""
    assert of.stdout is not None
    read = []
    for line in of.stdout:
        read.append(line)
        if words in line:
            kill(of)
            return line
    raise AssertionError(f"it never said '{words}':\n{''.join(read)}{finish(of).err}")


def assert_refused(ended: Ended, *, because: str) -> None:
    assert ended.code == 2, ended.out + ended.err
    (line,) = [line for line in ended.err.splitlines() if line]
    assert because in line


def test_a_plan_is_asked_after_by_its_verb(on_cluster: OnCluster) -> None:
    shown = on_cluster.place.verb(*PLAN)
    asked = on_cluster.place.verb(*PLAN, "--check")

    assert (shown.code, asked.code) == (0, 0), shown.err + asked.err
    assert "completionMode: Indexed" in shown.out
    assert "would take it" not in shown.out
    assert "would take it" in asked.out
    assert on_cluster.place.store.folders() == []


def test_what_the_server_would_refuse_is_told_by_the_plan_and_by_the_command(
    on_cluster: OnCluster,
) -> None:
    wrong = f"hydra.launcher.queue={'q' * 64}"

    for ended in (
        on_cluster.place.verb(*PLAN, "--check", "hydra.launcher.priority_class=Not-A-Name"),
        on_cluster.place.multirun(*QUICK, "hydra.launcher.priority_class=Not-A-Name"),
    ):
        assert_refused(ended, because="Not-A-Name")
    assert_refused(on_cluster.place.multirun(*QUICK, wrong, study="t"), because="has no Kueue")
    assert on_cluster.jobs() == []


@pytest.mark.parametrize(
    ("word", "because"),
    [
        ("hydra.launcher.resources.memory='4 GB'", "resources.memory=4 GB: not a quantity"),
        ("hydra.launcher.parallelism=100001", "a Job runs at most 100,000 pods at once"),
        ("hydra.launcher.resources.gpu_resource=mig-1g.10gb", "gpu_resource=mig-1g.10gb: not"),
    ],
)
def test_what_no_job_can_have_is_refused_before_anything_is_written(
    on_cluster: OnCluster, word: str, because: str
) -> None:
    ended = on_cluster.place.multirun(*QUICK, word)

    assert_refused(ended, because=because)
    assert on_cluster.place.store.folders() == []


@pytest.mark.parametrize("store", ["here", "file:///here"])
def test_a_store_that_no_pod_sees_is_refused(on_cluster: OnCluster, store: str) -> None:
    wrong = f"hydra.launcher.store={store}"

    for ended in (
        on_cluster.place.multirun(*QUICK, wrong),
        on_cluster.place.verb(*PLAN, wrong),
    ):
        assert_refused(ended, because="which no pod sees; name one by hydra.launcher.store=s3://")
    assert not (on_cluster.place.folder / "here").exists()


def test_a_name_that_kubernetes_would_not_take_is_refused(on_cluster: OnCluster) -> None:
    ended = on_cluster.place.multirun(*QUICK, study="a" * 41)

    assert_refused(ended, because="hydra.launcher.study")


def test_pods_that_their_namespace_does_not_admit_are_told(on_cluster: OnCluster) -> None:
    mount = "hydra.launcher.volume_mounts=[{name: disk, mountPath: /disk}]"

    line = line_with("pods cannot be made", on_cluster.place.start(*QUICK, OF_THE_NODE, mount))

    assert "violates PodSecurity" in line
    assert "hostPath" in line


def test_a_priority_class_that_is_not_there_is_told(on_cluster: OnCluster) -> None:
    client = on_cluster.place.start(*QUICK, "hydra.launcher.priority_class=none-such")

    line = line_with("pods cannot be made", client)

    assert "no PriorityClass with name none-such" in line


def test_a_slice_of_a_gpu_that_no_node_has_is_told_by_its_name(on_cluster: OnCluster) -> None:
    words = ("hydra.launcher.resources.gpu=1", f"hydra.launcher.resources.gpu_resource={SLICE}")

    line = line_with("no node takes it", on_cluster.place.start(*QUICK, *words))

    assert f"Insufficient {SLICE}" in line
