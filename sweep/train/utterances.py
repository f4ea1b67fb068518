"""Read sequences of several lengths, each with its class, from a file in the .ts format."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweep.errors import BadInput

MARK = "@data"


@dataclass(frozen=True, slots=True)
class Sequences:
    """Sequences and the number of the class of each."""

    values: list[NDArray[np.float64]]  # each [T, C]
    labels: list[int]
    content: bytes

    @property
    def sha256(self) -> str:
        """Hash the file."""
        return hashlib.sha256(self.content).hexdigest()


def read(path: Path, *, key: str, channels: Sequence[str], classes: Sequence[str]) -> Sequences:
    """Read a .ts file: after `@data` a line for each sequence, its channels and class apart by `:`.

    `key` is the setting that names it. Raises BadInput, which names the file and the line.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8")
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; set {key} to a .ts file") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path}: not UTF-8 text; set {key} to a .ts file") from None
    values: list[NDArray[np.float64]] = []
    labels: list[int] = []
    begun = False
    for number, line in enumerate(text.split("\n"), start=1):
        if not begun:
            begun = line.strip().lower() == MARK
        elif line.strip() and not line.startswith("#"):
            where = f"{path}, line {number}"
            *parts, label = line.strip().split(":")
            values.append(_sequence(parts, channels, where))
            labels.append(_label(label, classes, where))
    if not values:
        raise BadInput(f"{path}: no sequence below a line {MARK}; set {key} to a .ts file")
    return Sequences(values, labels, content)


def _sequence(parts: Sequence[str], channels: Sequence[str], where: str) -> NDArray[np.float64]:
    if len(parts) != len(channels):
        raise BadInput(
            f"{where}: {len(parts)} channels, and data.covariates names {len(channels)}; "
            "name each channel once"
        )
    try:
        columns = [np.array(part.split(","), dtype=np.float64) for part in parts]
    except ValueError as error:
        raise BadInput(f"{where}: {error}; every step must be a number") from None
    lengths = {len(column) for column in columns}
    if len(lengths) > 1:
        raise BadInput(f"{where}: channels of {sorted(lengths)} steps; they must be equally long")
    found = np.stack(columns, axis=1)
    if not np.isfinite(found).all():
        raise BadInput(f"{where}: a step is missing or not finite; leave the sequence out")
    return found


def _label(label: str, classes: Sequence[str], where: str) -> int:
    name = label.strip()
    if name not in classes:
        raise BadInput(f"{where}: class {name!r} is not one of data.classes; add it there")
    return list(classes).index(name)
