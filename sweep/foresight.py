"""Begin this machine's workers before Hydra is imported, where the words say they are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sweep.cluster.parent import begin_ahead
from sweep.cluster.release import configured

MULTIRUN = ("-m", "--multirun")
LAUNCHER = ("hydra/launcher", "hydra.launcher.code", "hydra.launcher.dry")
CLUSTER = "hydra.launcher.cluster="


def foresee(arguments: Sequence[str], *, task: str, env: Mapping[str, str]) -> None:
    """Have a task imported beside Hydra, whose configuration then says whether that was right.

    A second of this machine's idle processor is all that a wrong guess costs.
    """
    if will_run_here(arguments, clusters=configured(env)):
        begin_ahead(task)


def will_run_here(arguments: Sequence[str], *, clusters: bool) -> bool:
    """Guess from the words alone whether trials will be trained on this machine.

    `clusters` says whether any is configured. Flags beside the multirun's ask for something else.
    """
    flags = [word for word in arguments if word.startswith("-")]
    if len(flags) != 1 or flags[0] not in MULTIRUN:
        return False
    words = [word.lstrip("+~") for word in arguments]
    if any(word.startswith(LAUNCHER) for word in words):
        return False
    named = [word.removeprefix(CLUSTER) for word in words if word.startswith(CLUSTER)]
    return named[-1] == "local" if named else not clusters
