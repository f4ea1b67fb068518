"""A round becomes one Job."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml
from kubernetes_validate import validate

from sweep.errors import BadInput
from sweep.plan.manifest import JobSettings, PodSettings, Resources, job, whole_cpus

POD = PodSettings(image="registry.example/sweep@sha256:0")
JOB = JobSettings(
    namespace="sweep",
    study="forecast-20261122-170100-1a2b",
    round=2,
    round_hash="abc",
    packs=7,
    parallelism=10,
    max_ends=6,
    pod=POD,
)
VERSIONS = ("1.33", "1.34", "1.35", "1.36", "1.37")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_job_is_valid_in_every_supported_version(version: str) -> None:
    everything = replace(
        JOB,
        queue="gpus",
        deadline_s=3600,
        pod=replace(
            POD,
            resources=Resources(
                cpu="4", memory="8Gi", gpu=1, gpu_resource="nvidia.com/mig-1g.10gb"
            ),
            env={"A": 1, "B": True},
            env_from=["keys"],
            volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
            volume_mounts=[{"name": "data", "mountPath": "/data"}],
            tolerations=[{"key": "spot", "operator": "Exists"}],
            node_selector={"gpu": "h100"},
            priority_class="low",
            pull_policy="IfNotPresent",
            pull_secrets=["registry"],
        ),
    )

    validate(yaml.safe_load(yaml.safe_dump(job(everything))), version, strict=True)


def test_a_round_becomes_one_indexed_job_with_a_completion_a_pack() -> None:
    body = job(JOB)

    assert body["metadata"]["name"] == "forecast-20261122-170100-1a2b-r2"
    assert body["spec"]["completions"] == 7
    assert body["spec"]["parallelism"] == 7, "more pods than packs would have nothing to do"
    assert body["spec"]["completionMode"] == "Indexed"
    assert body["spec"]["podReplacementPolicy"] == "Failed"


def test_ends_that_are_nobodys_fault_are_not_counted() -> None:
    rules = job(JOB)["spec"]["podFailurePolicy"]["rules"]

    assert [rule["action"] for rule in rules] == ["Ignore", "Ignore", "FailJob", "FailIndex"]
    assert rules[0]["onPodConditions"][0]["type"] == "DisruptionTarget"
    assert [rule["onExitCodes"]["values"] for rule in rules[1:]] == [[69, 143], [64], [65]]


def test_pods_are_restricted_and_hold_no_token() -> None:
    pod = job(JOB)["spec"]["template"]["spec"]
    container = pod["containers"][0]

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_a_persons_variables_do_not_replace_the_studys() -> None:
    settings = replace(JOB, pod=replace(POD, env={"SWEEP_STUDY": "another", "OMP_NUM_THREADS": 2}))

    env = {e["name"]: e["value"] for e in _container(settings)["env"]}

    assert env["SWEEP_STUDY"] == JOB.study
    assert env["OMP_NUM_THREADS"] == "2"


def test_a_slice_of_a_gpu_is_asked_for_by_its_name() -> None:
    slice_ = Resources(gpu=2, gpu_resource="nvidia.com/mig-1g.10gb")

    asked = _container(replace(JOB, pod=replace(POD, resources=slice_)))["resources"]

    for part in ("requests", "limits"):
        assert asked[part] == {"cpu": "1", "memory": "2Gi", "nvidia.com/mig-1g.10gb": "2"}


def test_a_queue_gets_the_job_suspended() -> None:
    body = job(replace(JOB, queue="gpus"))

    assert body["spec"]["suspend"] is True
    assert body["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    assert "kueue.x-k8s.io/queue-name" not in body["spec"]["template"]["metadata"]["labels"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (replace(JOB, packs=100_001), "hydra.launcher.pack.size"),
        (replace(JOB, parallelism=100_001), "hydra.launcher.parallelism"),
        (replace(JOB, pod=replace(POD, image="")), "hydra.launcher.image"),
        (replace(JOB, pod=replace(POD, env={"a-b": "c"})), "'a-b'"),
        (replace(JOB, pod=replace(POD, resources=Resources(memory="4 GB"))), "memory=4 GB"),
        (replace(JOB, pod=replace(POD, resources=Resources(gpu=-1))), "gpu=-1"),
        (replace(JOB, pod=replace(POD, resources=Resources(gpu_resource="mig-1g.10gb"))), "mig-1g"),
    ],
)
def test_what_the_server_would_refuse_is_refused_in_our_words(
    settings: JobSettings, told: str
) -> None:
    with pytest.raises(BadInput, match=told.replace(".", r"\.")):
        job(settings)


@pytest.mark.parametrize(
    ("quantity", "count"), [("1", 1), ("4", 4), ("2500m", 2), ("500m", 1), ("1.5", 1)]
)
def test_a_pod_trains_a_trial_per_whole_cpu(quantity: str, count: int) -> None:
    assert whole_cpus(quantity) == count


def _container(settings: JobSettings) -> dict[str, Any]:
    container: dict[str, Any] = job(settings)["spec"]["template"]["spec"]["containers"][0]
    return container
