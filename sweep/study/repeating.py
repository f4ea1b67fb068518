"""Write the commands that run a study, or one of its trials, again."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Sequence

from sweep.plan.round import Base, Study
from sweep.plan.trial import Trial, Value

OURS = "sweep.app:"
CHOOSING = (  # words for Hydra that decide what is tried, and when it is enough
    "hydra/sweeper=",
    "hydra.sweeper.",
    "hydra.launcher.budget.",
    "hydra.launcher.max_failed=",
)
LAUNCHER = "hydra/launcher=kubernetes"
_PLAIN = re.compile(r"[A-Za-z_][\w.+-]*")  # a word that Hydra reads as itself
_NOT_A_WORD = re.compile(r"true|false|null|inf|nan", re.IGNORECASE)


def choosing(typed: Iterable[str]) -> tuple[str, ...]:
    """Pick what decides what is tried from the words that were typed for Hydra.

    Where a study runs, how many trials at a time and under which name decides no trial.
    """
    return tuple(word for word in typed if word.lstrip("+~").startswith(CHOOSING))


def study_command(study: Study) -> str:
    """Write the command that runs a study's whole grid, or its search, again."""
    launcher = [] if study.task.startswith(OURS) else [LAUNCHER]
    words = [*study.overrides, *launcher, *study.choosing]
    return " ".join([_program(study), *map(shlex.quote, words), "-m"])


def trial_command(study: Study, trial: Trial, *, bases: Sequence[Base]) -> str:
    """Write the command that trains one trial again, by itself."""
    own = [f"{key}={override_value(value)}" for key, value in trial.values.items()]
    words = [*bases[trial.base].overrides, *own]
    return " ".join([_program(study), *map(shlex.quote, words)])


def override_value(value: Value) -> str:
    """Write a JSON value so that Hydra's command line reads it back."""
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and not _NOT_A_WORD.fullmatch(value):
            return value
        return "'" + re.sub(r"(\\*)'", r"\1\1\\'", value) + "'"
    if isinstance(value, list):
        return f"[{','.join(map(override_value, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{k}:{override_value(v)}" for k, v in value.items()) + "}"
    return json.dumps(value)


def _program(study: Study) -> str:
    folders = [f"--config-dir={folder}" for folder in study.config_dirs]
    return " ".join(["python", *map(shlex.quote, [*_task_of(study), *folders])])


def _task_of(study: Study) -> list[str]:
    module, _, _ = study.task.rpartition(":")
    if study.task.startswith(OURS):
        return ["-m", "sweep"]
    return [module] if module.endswith(".py") else ["-m", module]
