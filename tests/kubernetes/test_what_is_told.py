"""What keeps pods from running, or ends them, is told with its cause and what to do."""

from __future__ import annotations

import subprocess

import pytest
from clients import APPLICATIONS, FRAIL, Ended, finish
from on_cluster import OnCluster
from release_objects import install

from sweep.plan import layout
from sweep.plan.trial import State

pytestmark = [pytest.mark.kube, pytest.mark.stack]

HELD = "+hydra.launcher.node_selector={kept: back}"  # until a node with this label comes
PICKY = """
import os, sys
if os.environ.get("BROKEN"):
    raise ImportError("no library here")
sys.path.insert(0, {applications!r})
import frail as known

def frail(cfg):
    return known.frail(cfg)

frail.sweep_application = known.frail.sweep_application
if __name__ == "__main__":
    import hydra
    hydra.main(version_base="1.3", config_path={configs!r}, config_name="config")(frail)()
"""


def line_with(words: str, of: subprocess.Popen[str]) -> str:
    """Read a client's lines up to one that says this."""
    assert of.stdout is not None
    read = []
    for line in of.stdout:
        read.append(line)
        if words in line:
            return line
    raise AssertionError(f"it never said '{words}':\n{''.join(read)}{finish(of).err}")


def test_an_image_that_cannot_be_pulled(on_cluster: OnCluster) -> None:
    client = on_cluster.place.start("x=1", "epoch_s=0", HELD)
    on_cluster.wait(lambda: bool(on_cluster.pods()))
    (pod,) = on_cluster.pods()
    on_cluster.make_play(pod, "ImagePullBackOff")
    on_cluster.nodes.add(1, cpu="4", labels={"kept": "back"})

    line = line_with("its image cannot be pulled", client)
    cancelled = on_cluster.place.verb("cancel", "s")

    assert "hydra.launcher.image" in line
    assert cancelled.code == 0, cancelled.err
    assert finish(client).code == 130


def test_a_task_that_cannot_be_imported_in_a_pod_fails_the_job_at_once(
    on_cluster: OnCluster,
) -> None:
    script = on_cluster.place.folder / "picky.py"
    configs = str(FRAIL.parent / "frail_configs")
    script.write_text(PICKY.format(applications=str(APPLICATIONS), configs=configs))

    ended = on_cluster.place.multirun(
        "x=1,2", "+hydra.launcher.env.BROKEN=1", "hydra.launcher.pack.size=1", task=script
    )

    assert ended.code == 2
    assert "no pack can run here" in ended.err
    assert "cannot be imported (no library here)" in ended.err
    (job,) = on_cluster.jobs()
    assert {c.type: c.reason for c in job.status.conditions}["Failed"] == "PodFailurePolicy"


def test_a_plan_that_was_changed_after_its_job_was_made_is_refused(on_cluster: OnCluster) -> None:
    client = on_cluster.place.start("x=1", "epoch_s=0", HELD)
    on_cluster.wait(lambda: bool(on_cluster.pods()))
    place = on_cluster.place.store.at("s")
    other = on_cluster.place.multirun("x=7", "epoch_s=0", study="other")
    place.write(layout.round_key(1), on_cluster.place.store.at("other").read(layout.round_key(1)))
    on_cluster.nodes.add(1, cpu="4", labels={"kept": "back"})

    ended = finish(client)

    assert other.code == 0, other.err
    assert ended.code == 2
    assert "and the Job was made for" in ended.err


def test_a_deadline_that_passes(on_cluster: OnCluster) -> None:
    ended = on_cluster.place.multirun("x=1", "epoch_s=30", "hydra.launcher.deadline_s=6")

    assert ended.code == 1
    assert "the Job's deadline passed (hydra.launcher.deadline_s" in ended.out


def test_a_study_outlives_its_namespace(on_cluster: OnCluster) -> None:
    words = ("x=1,2", "epoch_s=0", "hydra.launcher.parallelism=1", "hydra.launcher.pack.size=1")
    whole = on_cluster.place.multirun(*words, HELD, "hydra.launcher.detach=true")
    namespace, data = on_cluster.namespace, release_of(on_cluster)
    labels = on_cluster.core.read_namespace(namespace).metadata
    # By itself a namespace takes minutes to end: pods of a Job wait for its controller's word.
    on_cluster.batch.delete_namespaced_job("s-r1", namespace, propagation_policy="Foreground")
    on_cluster.wait(lambda: not on_cluster.jobs())
    on_cluster.core.delete_namespace(namespace)
    on_cluster.wait(lambda: namespace not in namespaces(on_cluster))
    status = on_cluster.place.verb("status", "s", "--store", on_cluster.place.address)

    annotations = {k: v for k, v in labels.annotations.items() if k.startswith("scheduler")}
    metadata = {"name": namespace, "labels": labels.labels, "annotations": annotations}
    on_cluster.core.create_namespace({"metadata": metadata})
    install(on_cluster.client, namespace, release=data, keys=on_cluster.keys)
    on_cluster.renew()
    on_cluster.nodes.add(1, cpu="4", labels={"kept": "back"})
    resumed = on_cluster.place.verb("resume", "s", "--store", on_cluster.place.address)

    assert whole.code == 75
    assert status.code == 0, status.err
    assert_all_completed(on_cluster, resumed, 2)


def test_what_another_study_trained_with_a_pinned_image_is_taken_over(
    on_cluster: OnCluster,
) -> None:
    first = on_cluster.place.multirun("x=1,2", "epoch_s=0", study="first")
    again = on_cluster.place.multirun("x=1,2,3", "epoch_s=0")
    anew = on_cluster.place.multirun(
        "x=1,2", "epoch_s=0", "hydra.launcher.reuse=false", study="anew"
    )

    assert first.code == 0, first.err
    assert_all_completed(on_cluster, again, 3)
    assert on_cluster.place.begun() == {2: 1}
    assert on_cluster.place.records()[0].reused_from == "first/0"
    assert anew.code == 0, anew.err
    assert on_cluster.place.begun("anew") == {0: 1, 1: 1}


def test_data_in_a_bucket_are_read_by_pods_as_long_as_they_are_what_was_planned(
    on_cluster: OnCluster,
) -> None:
    store = on_cluster.place.store
    store.write("data/d.csv", b"as planned")
    words = ("x=1,2", "epoch_s=0", f"path={on_cluster.place.address}/data/d.csv")

    read = on_cluster.place.multirun(*words, study="read")
    client = on_cluster.place.start(*words, "hydra.launcher.reuse=false", HELD)
    on_cluster.wait(lambda: bool(on_cluster.pods()))
    store.write("data/d.csv", b"another content")
    on_cluster.nodes.add(1, cpu="4", labels={"kept": "back"})
    refused = finish(client)

    assert read.code == 0, read.err
    assert list(on_cluster.place.records("read")) == [0, 1]
    assert refused.code != 0
    assert "has another content than when the study was planned" in refused.out + refused.err


def assert_all_completed(on_cluster: OnCluster, ended: Ended, trials: int) -> None:
    assert ended.code == 0, ended.out + ended.err
    states = {number: record.state for number, record in on_cluster.place.records().items()}
    assert states == dict.fromkeys(range(trials), State.COMPLETED)


def release_of(on_cluster: OnCluster) -> dict[str, str]:
    found = on_cluster.core.read_namespaced_config_map("sweep-release", on_cluster.namespace)
    return dict(found.data)


def namespaces(on_cluster: OnCluster) -> list[str]:
    return [each.metadata.name for each in on_cluster.core.list_namespace().items]
