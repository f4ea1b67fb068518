"""Run jobs in this process, one after another, for a task that no other process can find."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from hydra.core.utils import (
    JobReturn,
    JobStatus,
    configure_log,
    filter_overrides,
    run_job,
    setup_globals,
)
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from sweep.errors import SweepError

log = logging.getLogger(__name__)


class TaskLeft(SweepError):
    """Stand for a task's own sys.exit, which is its failure and not ours."""


def run_here(
    job_overrides: Sequence[Sequence[str]],
    *,
    first_number: int,
    context: HydraContext,
    task: TaskFunction,
    master: DictConfig,
) -> list[JobReturn]:
    """Run the jobs as Hydra's basic launcher would; nothing of them goes to a store."""
    setup_globals()
    configure_log(master.hydra.hydra_logging, master.hydra.verbose)
    Path(str(master.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    log.info("Launching %d jobs here: the task cannot be named", len(job_overrides))
    returns: list[JobReturn] = []
    for number, overrides in enumerate(job_overrides, start=first_number):
        log.info("\t#%d : %s", number, " ".join(filter_overrides(overrides)))
        config = context.config_loader.load_sweep_config(master, list(overrides))
        with open_dict(config):
            config.hydra.job.id = number
            config.hydra.job.num = number
        try:
            done = run_job(
                hydra_context=context,
                task_function=task,
                config=config,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
            )
        except SystemExit as leave:
            done = JobReturn(
                overrides=overrides,
                status=JobStatus.FAILED,
                _return_value=TaskLeft(f"the task left by sys.exit({leave.code!r})"),
            )
        returns.append(done)
        configure_log(master.hydra.hydra_logging, master.hydra.verbose)
    return returns
