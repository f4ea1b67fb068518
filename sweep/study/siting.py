"""Decide where a round runs: on this machine, or on a cluster with its release."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sweep.cluster import Work
from sweep.cluster.cpus import usable_cpus
from sweep.cluster.gpus import usable_gpus
from sweep.cluster.local import LocalCluster
from sweep.errors import BadInput
from sweep.plan.manifest import JobSettings
from sweep.plan.trial import Value
from sweep.study.refusing import whole
from sweep.study.rendering import job_settings, lanes, render

if TYPE_CHECKING:
    from sweep.cluster.api import Api
    from sweep.cluster.kubernetes import KubernetesCluster
    from sweep.cluster.release import Release

CLUSTERS = ("auto", "local", "kubernetes")
LOCAL, KUBERNETES = "local", "kubernetes"
KEPT = (  # of hydra.launcher: what a later round needs again
    "parallelism",
    "image",
    "pull_policy",
    "pull_secrets",
    "service_account",
    "resources",
    "env",
    "env_from",
    "volumes",
    "volume_mounts",
    "node_selector",
    "tolerations",
    "priority_class",
    "queue",
    "grace_s",
    "deadline_s",
    "ttl_s",
    "command",
    "patience_s",
    "node_lost_s",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a round runs, as it is needed before there is a plan."""

    kind: str
    where: str  # for people, with the reason
    workers: int  # packs at a time
    lanes: int  # trials at a time in one pack
    store: str | None = None  # that its release names
    tracking: str | None = None  # what its release calls MLflow
    release: Release | None = None
    settings: JobSettings | None = None  # all but what a plan adds
    context: str | None = None
    namespace: str | None = None
    options: Mapping[str, Value] = field(default_factory=dict)  # of hydra.launcher, for a resume
    gpus: Sequence[str] = ()  # of this machine, as CUDA_VISIBLE_DEVICES names them

    @property
    def gpus_of_a_pack(self) -> int:
        """Count the GPUs on which a pack is trained: those of a pod, or one of this machine."""
        return 1 if self.settings is None else max(1, self.settings.pod.resources.gpu)

    @property
    def has_gpu(self) -> bool:
        """Tell whether a pack has a GPU."""
        return bool(self.gpus) or (
            self.settings is not None and self.settings.pod.resources.gpu > 0
        )

    @property
    def tracking_env(self) -> dict[str, str]:
        """Name MLflow as an environment would, for whoever has no word of their own."""
        return {"MLFLOW_TRACKING_URI": self.tracking} if self.tracking else {}

    def known_to_pods(self, tracking: str) -> str:
        """Name MLflow as pods do, where the release has two addresses of it."""
        release = self.release
        if release is None or tracking != release.tracking_for_people:
            return tracking
        return release.tracking_for_pods or tracking

    @property
    def note(self) -> dict[str, Value]:
        """Say what a later client needs in order to find the round's pods."""
        if self.kind == LOCAL:
            return {"kind": LOCAL}
        return {
            "kind": KUBERNETES,
            "context": self.context,
            "namespace": self.namespace,
            "options": dict(self.options),
        }


def choose_site(options: Mapping[str, Value], *, env: Mapping[str, str]) -> Site:
    """Choose by hydra.launcher.cluster; `auto` is a cluster only where a release can be read.

    Raises BadInput, Unreachable.
    """
    wanted = options.get("cluster")
    if wanted not in CLUSTERS:
        raise BadInput(
            f"hydra.launcher.cluster={wanted}: no such choice; there are {', '.join(CLUSTERS)}"
        )
    whole("hydra.launcher.parallelism", options.get("parallelism"), least=1)
    if wanted == LOCAL:
        return local_site(options.get("parallelism"), why="hydra.launcher.cluster=local")
    from sweep.cluster.release import Release, look_for_release

    context, namespace = options.get("context"), options.get("namespace")
    if wanted == KUBERNETES:
        from sweep.study.reaching import reach

        api, release = reach(context=context, namespace=namespace)
        where = f"{api.where}, namespace {api.namespace}"
        return kubernetes_site(options, release=release or Release(), api=api, where=where)
    found = look_for_release(context=context, namespace=namespace, env=env)
    if found.release is None or found.api is None:
        return local_site(options.get("parallelism"), why=f"cluster=auto: {found.why}")
    where = f"{found.why} (cluster=auto)"
    return kubernetes_site(options, release=found.release, api=found.api, where=where)


def local_site(parallelism: int | None, *, why: str) -> Site:
    """Choose this machine."""
    workers = parallelism or usable_cpus()
    gpus = tuple(usable_gpus(os.environ))
    return Site(kind=LOCAL, where=f"here ({why})", workers=workers, lanes=1, gpus=gpus)


def kubernetes_site(
    options: Mapping[str, Value], *, release: Release, api: Api, where: str
) -> Site:
    """Choose a cluster.

    Raises BadInput for settings that no pod can have.
    """
    settings = job_settings(options, release=release, namespace=api.namespace)
    return Site(
        kind=KUBERNETES,
        where=where,
        workers=settings.parallelism,
        lanes=lanes(settings.pod.resources),
        store=release.store or None,
        tracking=release.tracking_for_pods or release.tracking_for_people or None,
        release=release,
        settings=settings,
        context=options.get("context"),
        namespace=api.namespace,
        options={key: value for key, value in options.items() if key in KEPT and value},
    )


def site_again(
    note: Mapping[str, Value],
    *,
    env: Mapping[str, str],
    parallelism: int | None = None,
    context: str | None = None,
    cluster: str | None = None,
) -> Site:
    """Choose the site of an earlier round once more; a person's own words beat its note.

    Raises BadInput, Unreachable.
    """
    options = dict(note.get("options") or {})
    options["cluster"] = cluster or note.get("kind") or LOCAL
    options["context"] = context or known_context(note.get("context"))
    options["namespace"] = note.get("namespace")
    if parallelism is not None:
        options["parallelism"] = parallelism
    return choose_site(options, env=env)


def open_cluster(site: Site) -> LocalCluster | KubernetesCluster:
    """Open the cluster of a site; nothing is started."""
    if site.settings is None:
        return LocalCluster(workers=site.workers, gpus=site.gpus)
    from sweep.cluster.api import open_api
    from sweep.cluster.kubernetes import KubernetesCluster

    settings = site.settings
    return KubernetesCluster(
        api=open_api(context=site.context, namespace=site.namespace),
        render=lambda work: render(settings, work),
        patience_s=float(site.options.get("patience_s") or 600),
        node_lost_s=float(site.options.get("node_lost_s") or 60),
    )


def check_job(site: Site, work: Work) -> None:
    """Ask the server whether it would take a Job; nothing is created.

    Raises BadInput, Unreachable.
    """
    cluster = open_cluster(site)
    if not isinstance(cluster, LocalCluster):
        cluster.check(work)


def prepare(site: Site) -> None:
    """Open the ways to store and MLflow that the site's release names.

    Raises BadInput, Unreachable.
    """
    if site.release is None:
        return
    from sweep.cluster.api import open_api
    from sweep.study.reaching import open_ways

    open_ways(site.release, open_api(context=site.context, namespace=site.namespace))


def known_context(name: str | None) -> str | None:
    """Keep a context's name where this machine's kubeconfig has it, else take its current one."""
    if name is None:
        return None
    from sweep.cluster.api import contexts

    return name if name in contexts() else None
