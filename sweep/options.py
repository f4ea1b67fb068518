"""Name what hydra.launcher can be told, with a default and a word for each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore


@dataclass
class PackConf:
    """How many trials share a worker."""

    size: int | None = None  # null: few enough that workers end together


@dataclass
class ResourcesConf:
    """What one pod asks for, as Kubernetes quantities."""

    cpu: str = "1"  # whole CPUs train as many trials at a time
    memory: str = "2Gi"
    gpu: int = 0
    gpu_resource: str = "nvidia.com/gpu"  # or a MIG profile's, nvidia.com/mig-1g.10gb


@dataclass
class BudgetConf:
    """What a study may use up; it then stops and can be resumed."""

    gpu_hours: float | None = None
    cpu_hours: float | None = None


@dataclass
class LauncherConf:
    """hydra/launcher=kubernetes: one plan, run on a cluster or on this machine."""

    _target_: str = "hydra_plugins.sweep_launcher.KubernetesLauncher"
    cluster: str = "auto"  # auto, local, kubernetes; auto: a cluster whose release can be read
    context: str | None = None  # of the kubeconfig; null: its current one
    namespace: str | None = None  # null: the context's
    study: str | None = None  # null: job name, time and four hex digits
    store: str | None = None  # null: SWEEP_STORE, else ./sweep-store
    parallelism: int | None = None  # packs at a time; null: one a usable CPU
    pack: PackConf = field(default_factory=PackConf)
    max_attempts: int = 3  # lives of a worker that one trial may cost before it counts as failed
    max_failed: int | None = None  # stop beyond so many failed trials; null: never stop early
    recycle: int = 0  # trials that one process trains before a fresh one; 0: as many as a pack has
    dry: bool = False  # show the plan, write and start nothing
    check: bool = False  # with dry: ask the API server whether it would take the Job
    detach: bool = False  # leave once the Job is submitted; exit code 75
    image: str | None = None  # null: the release's
    resources: ResourcesConf = field(default_factory=ResourcesConf)
    env: dict[str, Any] = field(default_factory=dict)  # of the pods; no secrets
    env_from: list[str] = field(default_factory=list)  # Secrets whose keys become variables
    pull_policy: str | None = None
    pull_secrets: list[str] = field(default_factory=list)
    service_account: str | None = None
    volumes: list[Any] = field(default_factory=list)  # as in a pod's specification
    volume_mounts: list[Any] = field(default_factory=list)
    node_selector: dict[str, str] = field(default_factory=dict)
    tolerations: list[Any] = field(default_factory=list)
    priority_class: str | None = None
    queue: str | None = None  # Kueue's LocalQueue; null: the release's
    command: list[str] = field(default_factory=list)  # empty: the image's entry point
    grace_s: int = 30  # that a pod has to keep its checkpoint when it is told to stop
    deadline_s: int | None = None  # after which a round is ended
    ttl_s: int | None = 86400  # after which an ended Job is deleted; null: never
    patience_s: int = 600  # with an API server that does not answer
    node_lost_s: int = 60  # of silence beyond a pod's grace, before its trials go elsewhere
    budget: BudgetConf = field(default_factory=BudgetConf)
    code: str = "image"  # bundle: the task's package travels with the plan
    reuse: bool = True  # take over what the store's other studies trained with the same content


def register() -> None:
    """Let Hydra find hydra/launcher=kubernetes."""
    ConfigStore.instance().store(
        group="hydra/launcher", name="kubernetes", node=LauncherConf, provider="sweep"
    )
