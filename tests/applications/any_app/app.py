"""An application that knows nothing of sweep, and uses most of what Hydra offers."""

from __future__ import annotations

import enum
import json
import logging
import os
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_original_cwd, instantiate
from omegaconf import MISSING, DictConfig, OmegaConf

log = logging.getLogger(__name__)
jobs_before = 0  # of this process


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass
class Database:
    driver: str = MISSING
    port: int = 0


@dataclass
class Settings:
    x: int = 1
    rate: float = 0.5
    colour: Colour = Colour.RED
    tags: list[str] = field(default_factory=list)
    database: Database = field(default_factory=Database)
    number: int = "${hydra:job.num}"  # type: ignore[assignment]
    thrice: int = "${thrice:${x}}"  # type: ignore[assignment]
    when: str = "${now:%H-%M-%S}"
    home: str = "${oc.env:GREETED}"
    maker: dict[str, Any] = field(
        default_factory=lambda: {"_target_": "__main__.Thing", "size": "${x}"}
    )


ConfigStore.instance().store(name="settings", node=Settings)
OmegaConf.register_new_resolver("thrice", lambda x: 3 * int(x))


@dataclass
class Thing:
    size: int


class Refused(RuntimeError):
    def __init__(self, x: int, why: str) -> None:
        super().__init__(f"x={x} is {why}")


@hydra.main(version_base="1.3", config_path="conf", config_name="typed")
def main(cfg: DictConfig) -> Any:
    global jobs_before
    hydra_ = HydraConfig.get()
    log.info("x=%s of job %s", cfg.x, hydra_.job.num)
    log.debug("only where told to be verbose")
    logging.getLogger("library").warning("of another logger")
    print("printed", cfg.x, flush=True)
    Path(f"written-{hydra_.job.num}.txt").write_text(OmegaConf.to_yaml(cfg, resolve=True))
    seen = {
        "resolved": OmegaConf.to_yaml(cfg, resolve=True),
        "is_enum": isinstance(cfg.get("colour"), Colour),
        "type": str(OmegaConf.get_type(cfg)).rpartition(".")[2],
        "struct": OmegaConf.is_struct(cfg),
        "thing": repr(instantiate(cfg.maker)),
        "cwd": str(Path.cwd()),
        "original": get_original_cwd(),
        "greeting": os.environ.get("GREETING"),
        "path": os.environ.get("PYTHONPATH"),
        "argv": [word for word in sys.argv[1:] if "launcher" not in word],
        "job": OmegaConf.to_container(hydra_.job, resolve=True),
        "choices": {k: v for k, v in hydra_.runtime.choices.items() if k != "hydra/launcher"},
        "main": Path(sys.modules["__main__"].__file__ or "").name,
        "threads": threading.active_count() > 0,
    }
    Path(hydra_.runtime.output_dir, "seen.json").write_text(json.dumps(seen, indent=1))
    jobs_before += 1
    if cfg.x == 3:
        raise Refused(cfg.x, "three")
    return cfg.x * cfg.rate, hydra_.job.override_dirname


if __name__ == "__main__":
    main()
