"""Put files of data into a store, once whatever their names, and take them out again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from sweep.errors import BadInput
from sweep.plan import shared
from sweep.store import Store

MOST_BYTES = 5 << 30
_READ_BYTES = 1 << 20

Told = Callable[[int], None]  # bytes that are done, of the file's


def hash_file(path: Path) -> tuple[str, int]:
    """Give a file's sha256 and size.

    Raises BadInput where it cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_READ_BYTES):
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; name a file that can be read") from None
    return digest.hexdigest(), size


def refuse_large(key: str, path: Path, *, size: int) -> None:
    """Refuse a file that is too large for an upload.

    Raises BadInput.
    """
    if size > MOST_BYTES:
        raise BadInput(
            f"{key}={path}: {size / 2**30:,.1f} GiB, and at most {MOST_BYTES / 2**30:g} GiB are "
            "uploaded; copy it to a bucket and write s3://BUCKET/KEY, or mount a volume"
        )


def missing_parts(store: Store, sha256: str, *, size: int) -> list[tuple[str, int, int]]:
    """List the parts of a file that the store lacks; none where it was uploaded before."""
    there = store.sizes(shared.data_prefix(sha256))
    parts = shared.data_parts(sha256, size=size)
    return [(key, start, length) for key, start, length in parts if there.get(key) != length]


def upload(path: Path, *, store: Store, sha256: str, size: int, told: Told) -> None:
    """Write what the store lacks of a file.

    Raises BadInput where the file is no longer what was hashed.
    """
    missing = missing_parts(store, sha256, size=size)
    told(size - sum(length for _, _, length in missing))
    with path.open("rb") as file:
        for key, start, length in missing:
            file.seek(start)
            data = file.read(length)
            if len(data) != length:
                raise BadInput(f"{path} changes while it is uploaded; wait until it is written")
            store.write(key, data)
            told(length)
    if missing and hash_file(path) != (sha256, size):
        for key, _, _ in missing:
            store.delete(key)
        raise BadInput(f"{path} changed while it was uploaded; wait until it is written")


def download(target: Path, *, store: Store, sha256: str, size: int) -> None:
    """Write a file from its parts and check its hash.

    Raises BadInput where the store lacks a part or has another content.
    """
    digest = hashlib.sha256()
    with target.open("wb") as file:
        for key, _, _ in shared.data_parts(sha256, size=size):
            try:
                data = store.read(key)
            except KeyError:
                raise BadInput(
                    f"{store.url}/{key} does not exist; start the multirun again where the data "
                    "lie, and it is uploaded"
                ) from None
            digest.update(data)
            file.write(data)
    if digest.hexdigest() != sha256:
        where = f"{store.url}/{shared.data_prefix(sha256)}"
        raise BadInput(f"{where}: its content does not match its name; delete it, then start anew")
