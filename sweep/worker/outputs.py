"""Bring what a job left in its output folder to the store, for a pod's disk is gone with it."""

from __future__ import annotations

import logging
from pathlib import Path

from sweep.plan import layout
from sweep.store import Store

log = logging.getLogger(__name__)

MOST_BYTES = 256 << 20  # of one trial


def keep_outputs(store: Store, trial: int, folder: Path) -> None:
    """Write the files below a folder as outputs of a trial, smallest first, up to MOST_BYTES.

    What is left out is logged. Raises StoreLost.
    """
    left = MOST_BYTES
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    for path in sorted(files, key=lambda each: (each.stat().st_size, str(each))):
        size = path.stat().st_size
        if size > left:
            log.warning(
                "trial %d: output %s (%d MiB) is left out: more than %d MiB in all",
                trial,
                path.relative_to(folder),
                size >> 20,
                MOST_BYTES >> 20,
            )
            continue
        left -= size
        key = f"{layout.output_prefix(trial)}{path.relative_to(folder).as_posix()}"
        store.write(key, path.read_bytes())
