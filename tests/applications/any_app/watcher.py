"""A callback that writes down what it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class Watcher(Callback):
    def __init__(self, name: str) -> None:
        self.name = name

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        self._write(Path(config.hydra.sweep.dir), "multirun_start", sorted(config))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        self._write(Path(config.hydra.sweep.dir), "multirun_end", sorted(config))

    def on_job_start(self, config: DictConfig, *, task_function: Any, **kwargs: Any) -> None:
        folder = Path(config.hydra.runtime.output_dir)
        self._write(folder, "job_start", [config.x, config.hydra.job.num, task_function.__name__])

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        value = job_return._return_value
        told = [job_return.status.name, repr(value), type(value).__qualname__]
        place = [job_return.working_dir, job_return.task_name, list(job_return.overrides or [])]
        self._write(Path(config.hydra.runtime.output_dir), "job_end", [*told, *place])

    def _write(self, folder: Path, event: str, told: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.name}-{event}.json").write_text(json.dumps(told))
