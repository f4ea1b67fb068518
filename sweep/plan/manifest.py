"""Render one round as one Indexed Job."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sweep.errors import BadInput
from sweep.plan.exits import Exit
from sweep.plan.trial import Value

CONTAINER = "trainer"
MANAGER = "sweep"
ROUND_HASH = "sweep/round-hash"  # annotation: tells two Jobs of one name apart
STUDY_LABEL, ROUND_LABEL = "sweep/study", "sweep/round"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
MOST_PACKS = 100_000  # completions with a limit per index, KEP-3850
MOST_PODS = 100_000  # parallelism
SCRATCH = "/tmp"  # noqa: S108  an emptyDir of the pod's own
NOBODY = 10001

# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
QUANTITY = re.compile(r"(\d+|\d*\.\d+|\d+\.)(m|k|[KMGTPE]i?|[eE][-+]?\d+)?")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
DEVICE = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?/[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?")

Body = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What one pod asks for, as Kubernetes quantities; limits equal requests."""

    cpu: str = "1"
    memory: str = "2Gi"
    gpu: int = 0
    gpu_resource: str = "nvidia.com/gpu"  # or a MIG profile's, nvidia.com/mig-1g.10gb


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSettings:
    """What a person may set of the pods."""

    image: str
    pull_policy: str | None = None  # null: Kubernetes' own rule, by the image's tag
    pull_secrets: Sequence[str] = ()
    service_account: str | None = None
    resources: Resources = field(default_factory=Resources)
    env: Mapping[str, Value] = field(default_factory=dict)
    env_from: Sequence[str] = ()  # names of Secrets
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Mapping[str, Value]] = ()
    priority_class: str | None = None
    volumes: Sequence[Mapping[str, Value]] = ()
    volume_mounts: Sequence[Mapping[str, Value]] = ()
    grace_s: int = 30  # from being told to stop to being killed
    command: Sequence[str] = ()  # empty: the image's entry point


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """One round, as its Job needs to know it."""

    namespace: str
    study: str
    round: int
    round_hash: str
    packs: int
    parallelism: int
    max_ends: int  # counted ends of one pack before its index fails
    pod: PodSettings
    queue: str | None = None  # Kueue's LocalQueue
    deadline_s: int | None = None
    ttl_s: int | None = 86_400  # null: the Job stays until somebody deletes it


def job_name(study: str, round_: int) -> str:
    """Name the Job of a round."""
    return f"{study}-r{round_}"


def labels(study: str, round_: int) -> dict[str, str]:
    """Label everything that belongs to a round."""
    return {
        "app.kubernetes.io/name": "sweep",
        "app.kubernetes.io/component": CONTAINER,
        "app.kubernetes.io/managed-by": MANAGER,
        STUDY_LABEL: study,
        ROUND_LABEL: str(round_),
    }


def job(settings: JobSettings) -> Body:
    """Render the Job, such that PodSecurity 'restricted' admits its pods.

    Raises BadInput for what the API would refuse, in the words of our settings.
    """
    _check(settings)
    ours = labels(settings.study, settings.round)
    extra = {QUEUE_LABEL: settings.queue} if settings.queue else {}
    spec: Body = {
        "completionMode": "Indexed",
        "completions": settings.packs,
        "parallelism": min(settings.parallelism, settings.packs),
        "backoffLimitPerIndex": settings.max_ends - 1,  # retries, of which the first life is none
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {"rules": failure_rules()},
        "template": {
            "metadata": {"labels": ours},
            "spec": _pod(settings),
        },
    }
    if settings.queue:
        spec["suspend"] = True  # Kueue resumes it once the quota admits it
    if settings.deadline_s is not None:
        spec["activeDeadlineSeconds"] = settings.deadline_s
    if settings.ttl_s is not None:
        spec["ttlSecondsAfterFinished"] = settings.ttl_s
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(settings.study, settings.round),
            "namespace": settings.namespace,
            "labels": {**ours, **extra},
            "annotations": {ROUND_HASH: settings.round_hash},
        },
        "spec": spec,
    }


def failure_rules() -> list[Body]:
    """Say what each end of a pod means; the first rule that matches decides.

    Raises nothing. https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-failure-policy
    """
    return [
        {
            "action": "Ignore",
            "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
        },
        _on_exit("Ignore", Exit.STORE_AWAY, Exit.TOLD_TO_STOP),
        _on_exit("FailJob", Exit.NOTHING_RUNS),
        _on_exit("FailIndex", Exit.PACK_FAILS),
    ]


def whole_cpus(quantity: str) -> int:
    """Count the trials that a CPU quantity can train at a time, one thread each; at least one."""
    cores = float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)
    return max(1, math.floor(cores))


def _on_exit(action: str, *codes: Exit) -> Body:
    values = sorted(int(code) for code in codes)
    found = {"containerName": CONTAINER, "operator": "In", "values": values}
    return {"action": action, "onExitCodes": found}


def _pod(settings: JobSettings) -> Body:
    pod = settings.pod
    spec: Body = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": pod.grace_s,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": NOBODY,
            "runAsGroup": NOBODY,
            "fsGroup": NOBODY,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(settings)],
        "volumes": [
            {"name": "scratch", "emptyDir": {}},
            *({**volume} for volume in pod.volumes),
        ],
    }
    if pod.service_account:
        spec["serviceAccountName"] = pod.service_account
    if pod.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in pod.pull_secrets]
    if pod.node_selector:
        spec["nodeSelector"] = dict(pod.node_selector)
    if pod.tolerations:
        spec["tolerations"] = [{**toleration} for toleration in pod.tolerations]
    if pod.priority_class:
        spec["priorityClassName"] = pod.priority_class
    return spec


def _container(settings: JobSettings) -> Body:
    pod = settings.pod
    container: Body = {
        "name": CONTAINER,
        "image": pod.image,
        "env": _environment(settings),
        "resources": _resources(pod.resources),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "scratch", "mountPath": SCRATCH},
            *({**mount} for mount in pod.volume_mounts),
        ],
    }
    if pod.command:
        container["command"] = list(pod.command)
    if pod.env_from:
        container["envFrom"] = [{"secretRef": {"name": name}} for name in pod.env_from]
    if pod.pull_policy:
        container["imagePullPolicy"] = pod.pull_policy
    return container


def _environment(settings: JobSettings) -> list[Body]:
    # JOB_COMPLETION_INDEX is the Job controller's own.
    plain: dict[str, Value] = {
        "HOME": SCRATCH,
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
        **settings.pod.env,
        "SWEEP_STUDY": settings.study,
        "SWEEP_ROUND": settings.round,
        "SWEEP_ROUND_HASH": settings.round_hash,
        "SWEEP_GRACE_S": settings.pod.grace_s,
    }
    return [{"name": name, "value": _text(value)} for name, value in plain.items()]


def _resources(wanted: Resources) -> Body:
    both: Body = {"cpu": wanted.cpu, "memory": wanted.memory}
    if wanted.gpu:
        both[wanted.gpu_resource] = str(wanted.gpu)
    return {"requests": dict(both), "limits": dict(both)}


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _check(settings: JobSettings) -> None:
    pod = settings.pod
    if settings.packs > MOST_PACKS:
        raise BadInput(
            f"{settings.packs:,} packs, and one Job takes {MOST_PACKS:,}; "
            "raise hydra.launcher.pack.size"
        )
    if settings.parallelism > MOST_PODS:
        raise BadInput(f"hydra.launcher.parallelism: a Job runs at most {MOST_PODS:,} pods at once")
    if not pod.image:
        raise BadInput(
            "hydra.launcher.image is not set, and no sweep release here names one; "
            "write hydra.launcher.image=REGISTRY/NAME@sha256:..."
        )
    for key, quantity in (("cpu", pod.resources.cpu), ("memory", pod.resources.memory)):
        if not QUANTITY.fullmatch(str(quantity)):
            raise BadInput(
                f"hydra.launcher.resources.{key}={quantity}: not a quantity; write 2, 500m or 4Gi"
            )
    if pod.resources.gpu < 0:
        raise BadInput(f"hydra.launcher.resources.gpu={pod.resources.gpu}: must be 0 or more")
    if not DEVICE.fullmatch(pod.resources.gpu_resource):
        raise BadInput(
            f"hydra.launcher.resources.gpu_resource={pod.resources.gpu_resource}: not what a node "
            "calls its devices; write nvidia.com/gpu, nvidia.com/mig-1g.10gb or their like"
        )
    for name in pod.env:
        if not NAME.fullmatch(name):
            raise BadInput(f"hydra.launcher.env: '{name}' is no name of an environment variable")
