"""Find the data sets that travel with the package; README.md here has their licences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweep.errors import BadInput, UnknownName


@dataclass(frozen=True, slots=True)
class Dataset:
    """One vendored data set, and the hash that it must have."""

    name: str
    path: Path
    sha256: str  # of both files together, where there are two
    test: Path | None = None  # where the test part is a file of its own


def find(name: str) -> Dataset:
    """Find a vendored data set by its name.

    Raises BadInput, which says where to get it, for one that is not shipped, and UnknownName,
    which names the nearest.
    """
    if name in NOT_SHIPPED:
        raise BadInput(f"data={name} is not shipped {NOT_SHIPPED[name]}")
    if name not in DATASETS:
        hint = " Or give data.path a file."
        raise UnknownName("data set", name, DATASETS, hint=hint)
    return DATASETS[name]


def absent(
    names: Sequence[str], *, address: str, licence: str, keys: Sequence[str], sha256: str
) -> str:
    """Say how to get files that are not in the package."""
    fetch = " ".join(f"-O {address}{name}" for name in names)
    given = " ".join(f"{key}={name}" for key, name in zip(keys, names, strict=True))
    of = "of both together" if len(names) > 1 else "of the file"
    return f"({licence}); get it by `curl -L {fetch}` (sha256 {of}: {sha256}), and add {given}"


_FOLDER = Path(__file__).parent
_ETT = "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small/"
_POLARITY = "https://raw.githubusercontent.com/yoonkim/CNN_sentence/master/"
NOT_SHIPPED: Mapping[str, str] = {  # hydra_configs/data pins the same hashes
    "etth1": absent(
        ["ETTh1.csv"],
        address=_ETT,
        licence="CC BY-ND 4.0",
        keys=["data.path"],
        sha256="f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066",
    ),
    "etth2": absent(
        ["ETTh2.csv"],
        address=_ETT,
        licence="CC BY-ND 4.0",
        keys=["data.path"],
        sha256="a3dc2c597b9218c7ce1cd55eb77b283fd459a1d09d753063f944967dd6b9218b",
    ),
    "polarity": absent(
        ["rt-polarity.pos", "rt-polarity.neg"],
        address=_POLARITY,
        licence="CC BY 4.0",
        keys=["data.path", "data.negative_path"],
        sha256="514ec0c7ffac3d28a5a2e5ca46c7135d31719527927bd6fdf67d146a84c65c33",
    ),
}
DATASETS: Mapping[str, Dataset] = {
    "jfk": Dataset(
        name="jfk",
        path=_FOLDER / "jfk.csv",
        sha256="16fc7e77c1796247c894597d53374643ca46f4a64e5cdb6547d7447af5fe7b31",
    ),
    "japanese_vowels": Dataset(
        name="japanese_vowels",
        path=_FOLDER / "japanese_vowels_train.ts",
        sha256="c755c99a2ac227123c34966a41b7940e802cdd6c360f7915e7c37cb8a781e821",
        test=_FOLDER / "japanese_vowels_test.ts",
    ),
    "stocks": Dataset(
        name="stocks",
        path=_FOLDER / "stocks.csv",
        sha256="d200eff1a89b5cfdc466a57d2ddfc9d21258d81078770847d461bc00cd26813b",
    ),
}
