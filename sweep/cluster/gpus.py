"""Name the GPUs that this process may use, without loading what drives them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
DRIVER = Path("/proc/driver/nvidia/gpus")  # a folder for each, where the driver is loaded


def usable_gpus(env: Mapping[str, str], *, driver: Path = DRIVER) -> list[str]:
    """Name each as CUDA_VISIBLE_DEVICES does; that variable limits them where it is set."""
    try:
        there = sorted(driver.iterdir())
    except OSError:
        return []
    told = env.get(VISIBLE)
    if told is None:
        return [str(number) for number, _ in enumerate(there)]
    return [name.strip() for name in told.split(",") if name.strip() not in ("", "-1")]


def gpu_model(*, driver: Path = DRIVER) -> str:
    """Name the model of the first GPU, as the driver does; '' where it tells none."""
    for folder in sorted(driver.iterdir()) if driver.is_dir() else []:
        try:
            told = re.search(r"^Model:\s*(.+)$", (folder / "information").read_text(), re.MULTILINE)
        except OSError:
            continue
        if told:
            return told[1].strip()
    return ""
