"""Render the Job of a round from what a person and the release say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from sweep.cluster import Work
from sweep.cluster.release import Release
from sweep.plan.budget import deadline_s
from sweep.plan.manifest import JobSettings, PodSettings, Resources, job, whole_cpus
from sweep.plan.trial import Value
from sweep.study.refusing import whole
from sweep.tracking.address import is_server

PODS_AT_ONCE = 10  # where nobody says hydra.launcher.parallelism

Body = dict[str, Any]


def job_settings(options: Mapping[str, Value], *, release: Release, namespace: str) -> JobSettings:
    """Say what all Jobs of a study have in common, with the release's word where a person has none.

    Raises BadInput for settings that no pod can have.
    """
    whole("hydra.launcher.deadline_s", options.get("deadline_s"), least=1)
    return JobSettings(
        namespace=namespace,
        study="",
        round=0,
        round_hash="",
        packs=0,
        parallelism=options.get("parallelism") or PODS_AT_ONCE,
        max_ends=0,
        pod=_pod(options, release),
        queue=options.get("queue") or release.queue or None,
        deadline_s=options.get("deadline_s"),
        ttl_s=options.get("ttl_s"),
    )


def render(settings: JobSettings, work: Work) -> Body:
    """Render the Job of a piece of work."""
    env = {**settings.pod.env, "SWEEP_STORE": work.store}
    if work.code:
        env["SWEEP_CODE"] = work.code
    if is_server(work.tracking):
        env["MLFLOW_TRACKING_URI"] = work.tracking
    return job(
        replace(
            settings,
            study=work.study,
            round=work.round,
            round_hash=work.round_hash,
            packs=len(work.packs),
            max_ends=work.max_attempts,
            pod=replace(settings.pod, env=env),
            deadline_s=_deadline(settings, work),
        )
    )


def check_settings(settings: JobSettings, *, packs: int) -> None:
    """Render a Job of so many packs for nobody.

    Raises BadInput for what the API would refuse, as `render` does.
    """
    job(replace(settings, packs=packs, max_ends=1))


def lanes(resources: Resources) -> int:
    """Count the trials that one pod trains at a time."""
    try:
        return whole_cpus(str(resources.cpu))
    except ValueError:  # no quantity: refused where the Job is rendered
        return 1


def _deadline(settings: JobSettings, work: Work) -> int | None:
    # The backstop where no client is there to see that the budget is used up.
    resources = settings.pod.resources
    bound = deadline_s(
        work.budget,
        parallelism=min(settings.parallelism, len(work.packs)),
        gpus=resources.gpu,
        cpus=lanes(resources),
        already=work.spent,
    )
    return min((s for s in (settings.deadline_s, bound) if s is not None), default=None)


def _pod(options: Mapping[str, Value], release: Release) -> PodSettings:
    whole("hydra.launcher.grace_s", options.get("grace_s"), least=1)
    secrets = list(options.get("env_from") or [])
    if release.store_secret and release.store_secret not in secrets:
        secrets.insert(0, release.store_secret)
    env: dict[str, Value] = {}
    if release.store_for_pods:
        env["AWS_ENDPOINT_URL_S3"] = release.store_for_pods
    if release.store_region:
        env["AWS_DEFAULT_REGION"] = release.store_region
    return PodSettings(
        image=str(options.get("image") or release.image),
        pull_policy=options.get("pull_policy"),
        pull_secrets=list(options.get("pull_secrets") or []),
        service_account=options.get("service_account") or release.service_account or None,
        resources=Resources(**_given(options.get("resources") or {}, Resources)),
        env={**env, **dict(options.get("env") or {})},
        env_from=secrets,
        node_selector=dict(options.get("node_selector") or {}),
        tolerations=list(options.get("tolerations") or []),
        priority_class=options.get("priority_class"),
        volumes=list(options.get("volumes") or []),
        volume_mounts=list(options.get("volume_mounts") or []),
        grace_s=options.get("grace_s") or 30,
        command=list(options.get("command") or []),
    )


def _given(values: Mapping[str, Value], kind: type[Resources]) -> dict[str, Value]:
    known = {f.name for f in fields(kind)}
    return {key: value for key, value in values.items() if key in known and value is not None}
