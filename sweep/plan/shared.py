"""Name the objects that the studies of one store share; their content is in their names."""

from __future__ import annotations

ROOT = "_shared/"  # no study's name begins so
DATA_PART_BYTES = 16 << 20  # of one object: a broken upload goes on where it broke off


def bundle_key(sha256: str) -> str:
    """Name a bundle of code."""
    return f"{ROOT}bundles/{sha256}.tar.gz"


def data_prefix(sha256: str) -> str:
    """Name the part of the store that holds one file of data."""
    return f"{ROOT}data/{sha256}/"


def data_parts(sha256: str, *, size: int) -> list[tuple[str, int, int]]:
    """Cut a file into parts: key, first byte and length of each."""
    starts = range(0, size, DATA_PART_BYTES) if size else [0]
    return [
        (f"{data_prefix(sha256)}{number:06d}", start, min(DATA_PART_BYTES, size - start))
        for number, start in enumerate(starts, start=1)
    ]


def contents_prefix(context: str) -> str:
    """Name the part that lists what was trained by the same task, code and surroundings."""
    return f"{ROOT}contents/{context}/"


def contents_key(context: str, *, study: str, round_number: int) -> str:
    """Name the list of what the trials of one round are."""
    return f"{contents_prefix(context)}{study}.{round_number:04d}.json"


def study_of_contents(key: str) -> str:
    """Read the study's name off the key of such a list."""
    return key.rpartition("/")[2].partition(".")[0]
