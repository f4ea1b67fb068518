"""Somebody's function to optimise: its best value is 7, at x=2 and kind=smooth."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path="hill_configs", config_name="config")
def main(cfg: DictConfig) -> float:
    sign = 1 if cfg.upwards else -1
    return float(7 - sign * ((cfg.x - 2) ** 2 + (cfg.kind == "rough")))


if __name__ == "__main__":
    main()
