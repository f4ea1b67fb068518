"""Run a trial of any Hydra application as Hydra's own launcher would, in this process."""

from __future__ import annotations

import logging
import os
import random
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobRuntime, JobStatus, configure_log, run_job
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from sweep.plan.application import OnEpoch, Result
from sweep.plan.round import Round
from sweep.plan.trial import Failure, State, Trial
from sweep.plan.values import decode_value, encode_value, number_of
from sweep.sources import Composer
from sweep.task import MAIN, Task

Keep = Callable[[Trial, Path], None]


class HydraJobs:
    """Compose and run the jobs of one round; what a job leaves behind is put back."""

    def __init__(
        self, round_: Round, task: Task, *, folder: Path, keep: Keep | None = None
    ) -> None:
        from hydra._internal.hydra import Hydra

        plan = dict(round_.hydra)
        self._task = task
        self._keep = keep  # takes what a job leaves in its output folder
        self._round = round_
        self._plain = bool(plan["plain"])
        self._composer = Composer(plan, folder=folder)
        self._callbacks: Callbacks | None = None
        sys.argv = list(plan["argv"])
        _silence()
        GlobalHydra.instance().clear()
        JobRuntime.instance().set("name", plan["task_name"])
        hydra = Hydra(task_name=plan["task_name"], config_loader=self._composer.loader)
        GlobalHydra.instance().initialize(hydra)

    def run(self, trial: Trial, on_epoch: OnEpoch) -> Result:
        """Run one job: output folder, logging, callbacks and configuration as Hydra has them."""
        del on_epoch  # the task does not know of it
        config = self._compose(trial)
        if self._callbacks is None:
            self._callbacks = Callbacks(config)
        context = HydraContext(config_loader=self._composer.loader, callbacks=self._callbacks)
        with _put_back(config):
            try:
                done = run_job(
                    task_function=self._task,
                    config=config,
                    job_dir_key="hydra.sweep.dir",
                    job_subdir_key="hydra.sweep.subdir",
                    hydra_context=context,
                )
            except SystemExit as leave:
                return Result(state=State.FAILED, failure=_left(leave))
            finally:
                self._keep_outputs(trial, config)
        if done.status is not JobStatus.COMPLETED:
            return Result(state=State.FAILED, failure=describe(done._return_value))
        try:
            value = encode_value(done.return_value)
        except TypeError as error:
            return Result(state=State.FAILED, failure=Failure("TypeError", str(error)))
        objective = number_of(decode_value(value))
        return Result(state=State.COMPLETED, objective=objective, value=value)

    def _keep_outputs(self, trial: Trial, config: DictConfig) -> None:
        folder = OmegaConf.select(config, "hydra.runtime.output_dir")  # as run_job made it
        if self._keep is not None and folder and Path(folder).is_dir():
            self._keep(trial, Path(folder))

    def _compose(self, trial: Trial) -> DictConfig:
        overrides = self._round.hydra["jobs"][str(trial.number)]
        if not self._plain:
            return self._composer.compose(overrides, number=trial.number)
        base = self._round.bases[trial.base]
        return self._composer.set(
            base.overrides, trial.values, overrides=overrides, number=trial.number
        )


def _silence() -> None:
    # A worker's own handlers: where the application configures no logging, Hydra has none either.
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.setLevel(logging.WARNING)


def describe(error: BaseException) -> Failure:
    """Keep an exception's type, text, and trace below Hydra's own frames.

    The type's name stands with its module, unless it is built in.
    """
    kind = type(error)
    module = "__main__" if kind.__module__ == MAIN else kind.__module__
    name = kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"
    frames, frame = error.__traceback__, error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code is run_job.__code__:
            frames = frame.tb_next
        frame = frame.tb_next
    lines = traceback.format_exception(kind, error, frames)
    return Failure(name, str(error), trace="".join(lines).replace(f"{MAIN}.", "__main__."))


def _left(leave: SystemExit) -> Failure:
    return Failure("SystemExit", f"the task left by sys.exit({leave.code!r})")


@contextmanager
def _put_back(config: DictConfig) -> Iterator[None]:
    # A later job of this process finds it as the first one did.
    directory, environment = Path.cwd(), dict(os.environ)
    hydra_config, drawn = HydraConfig.instance().cfg, _random_state()
    arguments = list(sys.argv)
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)  # as the client has it
    handlers = {id(handler) for _, handler in _handlers()}
    try:
        yield
    finally:
        os.chdir(directory)
        os.environ.clear()
        os.environ.update(environment)
        HydraConfig.instance().cfg = hydra_config
        sys.argv = arguments
        _set_random_state(drawn)
        for logger, handler in _handlers():
            if id(handler) not in handlers:
                logger.removeHandler(handler)
                handler.close()
        configure_log(config.hydra.hydra_logging, config.hydra.verbose)


def _handlers() -> list[tuple[logging.Logger, logging.Handler]]:
    loggers = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    return [
        (logger, handler)
        for logger in loggers
        if isinstance(logger, logging.Logger)
        for handler in list(logger.handlers)
    ]


def _random_state() -> dict[str, Any]:
    # Only of libraries that the task has loaded already.
    state: dict[str, Any] = {"random": random.getstate()}
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None:
        state["numpy"] = numpy.random.get_state()
    if torch is not None:
        state["torch"] = torch.get_rng_state()
    return state


def _set_random_state(state: dict[str, Any]) -> None:
    random.setstate(state["random"])
    if "numpy" in state:
        sys.modules["numpy"].random.set_state(state["numpy"])
    if "torch" in state:
        sys.modules["torch"].set_rng_state(state["torch"])
