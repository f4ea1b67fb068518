"""A Hydra application that does nothing: what is left is what launching costs."""

import hydra
from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path="noop_configs", config_name="config")
def main(cfg: DictConfig) -> float:
    """Return at once."""
    """Return what was asked for."""
    return float(cfg.x)


if __name__ == "__main__":
    main()
