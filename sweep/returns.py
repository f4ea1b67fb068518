"""Give Hydra's sweepers what each trial came to."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import version
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from sweep.errors import SweepError
from sweep.plan.trial import Failure, Record, State
from sweep.plan.values import decode_value

if TYPE_CHECKING:
    from omegaconf import DictConfig


class TrialFailed(SweepError):
    """Stand for the exception of a trial that another process ran."""


class Elsewhere(JobReturn):
    """What a trial of another process came to; its configuration is composed when asked for.

    A configuration takes 130 kB and 60 ms, and few sweepers read any.
    """

    def __init__(
        self, compose: Callable[[], DictConfig], *, record: Record | None, **fields: Any
    ) -> None:
        super().__init__(**fields)
        self._compose = compose
        self.record = record  # the whole of it, with curves, for sweepers of ours
        # The trial whose result this is: another's, if equal in effect.
        self.trained = record.trial if record else None

    @cached_property
    def _config(self) -> DictConfig:
        return self._compose()

    @property
    def cfg(self) -> DictConfig:
        """The trial's configuration without the hydra node."""
        keys = [key for key in self._config if key != "hydra"]
        return OmegaConf.masked_copy(self._config, keys)  # type: ignore[arg-type]

    @cfg.setter
    def cfg(self, value: DictConfig | None) -> None: ...

    @property
    def hydra_cfg(self) -> DictConfig:
        """The trial's hydra node."""
        return OmegaConf.masked_copy(self._config, ["hydra"])

    @hydra_cfg.setter
    def hydra_cfg(self, value: DictConfig | None) -> None: ...

    @property
    def working_dir(self) -> str:
        """The folder that the trial ran in."""
        hydra = self._config.hydra
        moved = hydra.job.chdir or (hydra.job.chdir is None and not version.base_at_least("1.2"))
        return str(Path(hydra.sweep.dir) / hydra.sweep.subdir) if moved else str(Path.cwd())

    @working_dir.setter
    def working_dir(self, value: str | None) -> None: ...


def job_return(
    overrides: Sequence[str],
    record: Record | None,
    *,
    infeasible: float,
    task_name: str,
    compose: Callable[[], DictConfig],
) -> JobReturn:
    """Turn a terminal record into a JobReturn.

    An infeasible trial is COMPLETED with the worst number: third parties' sweepers cannot take
    NaN. A pruned one is COMPLETED with what it had come to at its last rung: the search is through
    with it. Nothing unfinished is ever COMPLETED: without a record the trial is FAILED.
    """
    status, value = _outcome(record, infeasible=infeasible)
    return Elsewhere(
        compose,
        record=record,
        overrides=overrides,
        status=status,
        _return_value=value,
        task_name=task_name,
    )


def _outcome(record: Record | None, *, infeasible: float) -> tuple[JobStatus, Any]:
    if record is None:
        text = "the trial has no record: its worker ended without a word; `resume` trains it"
        return JobStatus.FAILED, as_exception(Failure("TrialFailed", text))
    if record.state in (State.COMPLETED, State.PRUNED):
        return JobStatus.COMPLETED, decode_value(record.value)
    if record.state is State.INFEASIBLE:
        return JobStatus.COMPLETED, infeasible
    failure = record.error or Failure("TrialFailed", f"the trial is {record.state}")
    return JobStatus.FAILED, as_exception(failure)


def as_exception(failure: Failure) -> BaseException:
    """Make an exception of the trial's own type and text; its trace is a note.

    The type is the real one where this process has it, else one of the same name.
    """
    module, _, name = failure.type.rpartition(".")
    known = _known(module, name)
    error: BaseException = known.__new__(known, failure.text) if known else TrialFailed()
    if known is None or not _says(error, failure.text):
        told = {"__str__": lambda _: failure.text, "__module__": module or "builtins"}
        kind: type[Exception] = type(name, (known or TrialFailed,), told)
        error = kind.__new__(kind, failure.text)
    if failure.trace:
        error.add_note(f"in the worker:\n{failure.trace.rstrip()}")
    return error


def _known(module: str, name: str) -> type[Exception] | None:
    place = sys.modules.get(module) if module else builtins
    found = getattr(place, name, None)
    if not isinstance(found, type) or not issubclass(found, Exception):
        return None
    try:
        found.__new__(found, "")
    except TypeError:  # groups of exceptions want more than a text
        return None
    return found


def _says(error: BaseException, text: str) -> bool:
    try:
        return str(error) == text
    except Exception:  # noqa: BLE001  a stranger's __str__ may want what __init__ sets
        return False
