"""A task that knows nothing of sweep and takes as much memory as it is told."""

from __future__ import annotations

import time

import hydra
from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path=None)
def hungry(cfg: DictConfig) -> float:
    block = bytearray(cfg.mib << 20)
    for page in range(0, len(block), 4096):
        block[page] = 1
    time.sleep(cfg.hold_s)
    return float(cfg.x)


if __name__ == "__main__":
    hungry()
