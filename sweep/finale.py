"""Hear from Hydra that a sweeper has no more batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback

if TYPE_CHECKING:
    from omegaconf import DictConfig


class Finale(Callback):
    """Do something at the end of the multirun."""

    def __init__(self, finish: Callable[[], None]) -> None:
        self._finish = finish

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:  # noqa: ARG002
        """Do it."""
        self._finish()
