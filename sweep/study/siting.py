"""Decide where a round runs: on this machine, or on a cluster with its release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from sweep.cluster import Work
from sweep.cluster.cpus import usable_cpus
from sweep.cluster.local import LocalCluster
from sweep.errors import BadInput
from sweep.plan.budget import deadline_s, read_budget
from sweep.plan.manifest import JobSettings, PodSettings, Resources, job, whole_cpus
from sweep.plan.trial import Value
from sweep.tracking.address import is_server

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
PODS_AT_ONCE = 10  # where nobody says hydra.launcher.parallelism

Body = dict[str, Any]


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
    return Site(kind=LOCAL, where=f"here ({why})", workers=workers, lanes=1)


def kubernetes_site(
    options: Mapping[str, Value], *, release: Release, api: Api, where: str
) -> Site:
    """Choose a cluster, with the release's word where a person has none.

    Raises BadInput for settings that no pod can have.
    """
    resources = Resources(**_given(options.get("resources") or {}, Resources))
    queue = options.get("queue") or release.queue or None
    settings = JobSettings(
        namespace=api.namespace,
        study="",
        round=0,
        round_hash="",
        packs=0,
        parallelism=options.get("parallelism") or PODS_AT_ONCE,
        max_ends=0,
        pod=_pod(options, release, resources),
        queue=queue,
        deadline_s=_deadline(options, resources),
        ttl_s=options.get("ttl_s"),
    )
    return Site(
        kind=KUBERNETES,
        where=where,
        workers=settings.parallelism,
        lanes=whole_cpus(str(resources.cpu)) if _is_number(resources.cpu) else 1,
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
        return LocalCluster(workers=site.workers)
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
        )
    )


def prepare(site: Site) -> None:
    """Open the ways to store and MLflow that the site's release names.

    Raises BadInput, Unreachable.
    """
    if site.release is None:
        return
    from sweep.cluster.api import open_api
    from sweep.study.reaching import open_ways

    open_ways(site.release, open_api(context=site.context, namespace=site.namespace))


def whole(key: str, value: Value, *, least: int) -> None:
    """Refuse what is not a whole number of at least `least`; None passes.

    Raises BadInput.
    """
    if value is not None and (not isinstance(value, int) or value < least):
        raise BadInput(f"{key}={value}: must be a whole number of at least {least}")


def _pod(options: Mapping[str, Value], release: Release, resources: Resources) -> PodSettings:
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
        resources=resources,
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


def known_context(name: str | None) -> str | None:
    """Keep a context's name where this machine's kubeconfig has it, else take its current one."""
    if name is None:
        return None
    from sweep.cluster.api import contexts

    return name if name in contexts() else None


def _deadline(options: Mapping[str, Value], resources: Resources) -> int | None:
    # The backstop where no client is there to see that a budget is used up.
    whole("hydra.launcher.deadline_s", options.get("deadline_s"), least=1)
    cpus = float(whole_cpus(resources.cpu)) if _is_number(resources.cpu) else 1.0
    bound = deadline_s(
        read_budget(dict(options.get("budget") or {})),
        parallelism=options.get("parallelism") or PODS_AT_ONCE,
        gpus=resources.gpu,
        cpus=cpus,
    )
    return min((s for s in (options.get("deadline_s"), bound) if s is not None), default=None)


def _given(values: Mapping[str, Value], kind: type[Resources]) -> dict[str, Value]:
    known = {f.name for f in fields(kind)}
    return {key: value for key, value in values.items() if key in known and value is not None}


def _is_number(quantity: Value) -> bool:
    try:
        whole_cpus(str(quantity))
    except ValueError:
        return False
    return True
