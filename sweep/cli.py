"""The verbs beside the main job."""

from __future__ import annotations


def run_verb(arguments: list[str]) -> int:
    from sweep.multirun import run_hydra

    return run_hydra(
        [*arguments[1:], "-m", "hydra.launcher.dry=true"][:0]
        + [*arguments[1:], "hydra.launcher.dry=true", "-m"]
    )
