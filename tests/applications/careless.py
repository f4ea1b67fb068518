"""A task that leaves everything changed behind it, and says how it found it.

`act` decides what it does in the end.
"""

from __future__ import annotations

import logging
import math
import os
import random
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

runs = 0  # of this process


class Own(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} ({code})")
        self.code = code

    def __str__(self) -> str:
        return f"code {self.code}: {self.args[0]}"


def found() -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "runs": runs,
        "cwd": str(Path.cwd()),
        "left": os.environ.get("LEFT_BEHIND"),
        "home": os.environ.get("HOME"),
        "handlers": len(logging.getLogger("careless").handlers),
        "root": [type(handler).__name__ for handler in logging.getLogger().handlers],
        "drawn": random.random(),
        "job": HydraConfig.get().job.num,
        "argv": len(sys.argv),
    }


def leave_traces() -> None:
    global runs
    runs += 1
    Path("elsewhere").mkdir(exist_ok=True)
    os.chdir("elsewhere")
    os.environ["LEFT_BEHIND"] = "yes"
    os.environ.pop("HOME", None)
    logging.getLogger("careless").addHandler(logging.StreamHandler())
    logging.getLogger().addHandler(logging.StreamHandler())
    random.seed(runs)
    HydraConfig.instance().cfg = None
    sys.argv.append("more")


RESULTS: dict[str, Any] = {
    "undefined": math.nan,
    "endless": -math.inf,
    "tuple": (1, ("a", None), [True]),
    "mapping": {"a": {"b": 1.5}},
    "nothing": None,
    "fraction": Fraction(1, 4),
    "object": object(),
    "set": {1},
}


@hydra.main(version_base="1.3", config_path=None)
def main(cfg: DictConfig) -> Any:
    before = found()
    leave_traces()
    match cfg.act:
        case "look":
            return before
        case "exit":
            sys.exit(7)
        case "quit":
            sys.exit("enough")
        case "raise":
            raise Own(5, "no more")
        case "key":
            raise KeyError("absent")
        case "unicode":
            b"\xff".decode()
        case "numpy":
            import numpy as np

            return np.float32(0.5), np.int64(3), np.bool_(True), np.array(2.5)
    return RESULTS[cfg.act]


if __name__ == "__main__":
    main()
