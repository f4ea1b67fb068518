"""Find the data sets that travel with the package; README.md here has their licences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sweep.errors import UnknownName


@dataclass(frozen=True, slots=True)
class Dataset:
    """One vendored file, and the hash that it must have."""

    name: str
    path: Path
    sha256: str


def find(name: str) -> Dataset:
    """Find a vendored data set by its name.

    Raises UnknownName, which names the nearest.
    """
    if name not in DATASETS:
        hint = " Or give data.path a CSV file."
        raise UnknownName("data set", name, DATASETS, hint=hint)
    return DATASETS[name]


_FOLDER = Path(__file__).parent
DATASETS: Mapping[str, Dataset] = {
    "jfk": Dataset(
        name="jfk",
        path=_FOLDER / "jfk.csv",
        sha256="16fc7e77c1796247c894597d53374643ca46f4a64e5cdb6547d7447af5fe7b31",
    ),
}
