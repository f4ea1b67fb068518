"""Hydra's door: a multirun in, JobReturns out."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.launcher import Launcher

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig


@dataclass
class PackConf:
    """How many trials share a worker."""

    size: int | None = None  # null: few enough that workers end together


@dataclass
class LauncherConf:
    """hydra/launcher=kubernetes: one plan, run on a cluster or on this machine."""

    _target_: str = "hydra_plugins.sweep_launcher.KubernetesLauncher"
    cluster: str = "auto"  # auto, local, kubernetes
    study: str | None = None  # null: job name, time and four hex digits
    store: str | None = None  # null: SWEEP_STORE, else ./sweep-store
    parallelism: int | None = None  # packs at a time; null: one a usable CPU
    pack: PackConf = field(default_factory=PackConf)
    max_attempts: int = 3  # lives of a worker that one trial may cost before it counts as failed
    max_failed: int | None = None  # stop beyond so many failed trials; null: never stop early
    dry: bool = False  # show the plan, write and start nothing


class KubernetesLauncher(Launcher):
    """Compose the multirun once, write it as a plan, run the plan."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.config: DictConfig | None = None
        self.task: TaskFunction | None = None
        self.context: HydraContext | None = None
        self.study: str | None = None  # once the first batch was launched

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take the multirun's context from Hydra."""
        self.context = hydra_context
        self.task = task_function
        self.config = config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run a batch of trials and return what each came to, in input order.

        Leaves by SystemExit alone: 2 for bad input, 3 where the store cannot be reached, 130
        after Ctrl-C; one line on standard error says why.
        """
        from sweep.errors import SweepError

        try:
            return self._launch(job_overrides, initial_job_idx)
        except SweepError as error:
            print(f"sweep: {error}", file=sys.stderr)  # noqa: T201
            raise SystemExit(error.exit_code) from None

    def _launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        from hydra.core.utils import configure_log, setup_globals
        from rich.console import Console

        from sweep.compose import compose
        from sweep.errors import BadInput
        from sweep.study.launching import Request, launch, show_plan
        from sweep.task import application_of, name_task

        assert self.config is not None
        assert self.context is not None
        assert self.task is not None
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        application = application_of(self.task)
        name = name_task(self.task, root=Path.cwd())
        if application is None or name is None:
            raise BadInput(f"task {name} tells sweep nothing about itself; only ours runs so far")
        composition = compose(
            job_overrides,
            loader=self.context.config_loader,
            master=self.config,
            first_number=initial_job_idx,
        )
        request = Request(
            task=name,
            application=application,
            job=self.config.hydra.job.name,
            composition=composition,
            overrides=tuple(self.config.hydra.overrides.task),
            options=self.options,
            env=os.environ,
            cwd=Path.cwd(),
            now=time.time(),
            tail=secrets.token_hex(2),
        )
        console = Console(highlight=False)
        if self.options.get("dry"):
            show_plan(request, console=console)
            return []
        records = launch(request, console=console)
        return [
            _job_return(overrides, records.get(trial.number))
            for overrides, trial in zip(job_overrides, composition.trials, strict=True)
        ]


def _job_return(overrides: Sequence[str], record: Any) -> JobReturn:
    from hydra.core.utils import JobReturn, JobStatus

    from sweep.errors import SweepError
    from sweep.plan.trial import State

    state = record.state if record is not None else None
    if state is State.COMPLETED:
        return JobReturn(
            overrides=overrides, status=JobStatus.COMPLETED, _return_value=record.value
        )
    if state is State.INFEASIBLE:
        return JobReturn(
            overrides=overrides, status=JobStatus.COMPLETED, _return_value=float("inf")
        )
    text = record.error.text if record is not None and record.error else "it has no record"
    error = SweepError(f"{' '.join(overrides)}: {state or 'lost'}: {text}")
    return JobReturn(overrides=overrides, status=JobStatus.FAILED, _return_value=error)


ConfigStore.instance().store(
    group="hydra/launcher", name="kubernetes", node=LauncherConf, provider="sweep"
)
