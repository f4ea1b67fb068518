"""Hear from Hydra that a sweeper has no more batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from sweep.launcher import KubernetesLauncher


class Finale(Callback):
    """Let a launcher sum its study up at the end of the multirun."""

    def __init__(self, launcher: KubernetesLauncher) -> None:
        self._launcher = launcher

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:  # noqa: ARG002
        """Finish the study."""
        self._launcher.finish()
