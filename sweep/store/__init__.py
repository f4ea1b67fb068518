"""Where a study lives: a folder or a bucket, the truth about what happened."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from sweep.errors import BadInput


class Store(Protocol):
    """Objects by key below one address; every write is whole or absent.

    Missing keys raise KeyError. A store that went away, is full or refuses writes raises
    StoreLost with one line. Safe for several processes; one instance belongs to one thread.
    """

    @property
    def url(self) -> str:
        """Give the address, such that `open_store(url)` opens the same store."""

    def read(self, key: str, start: int = 0) -> bytes:
        """Return an object's bytes from `start` on."""

    def write(self, key: str, data: bytes) -> None:
        """Write or replace an object, atomically."""

    def create(self, key: str, data: bytes) -> bool:
        """Write an object that must not exist yet; tell whether this call wrote it."""

    def append(self, key: str, data: bytes) -> None:
        """Add to an object's end; a key has one writer at a time."""

    def sizes(self, prefix: str) -> dict[str, int]:
        """Map the keys below a prefix that ends in '/', or '' for all, to sizes in bytes."""

    def folders(self) -> list[str]:
        """Name the first parts of all keys."""

    def delete(self, key: str) -> None:
        """Remove an object; one that is absent already is no error."""

    def hold(self, key: str, who: str) -> AbstractContextManager[None]:
        """Hold a lease while the context lasts; Busy tells who has it."""

    def held(self, key: str) -> bool:
        """Tell whether somebody holds a lease; nothing is written."""

    def at(self, prefix: str) -> Store:
        """Return the part below a prefix; its first object is written through the whole."""


def open_store(address: str, *, patience_s: float | None = None) -> Store:
    """Open a store by its address: a path, file://PATH or s3://BUCKET/PREFIX.

    A bucket that is away is waited for `patience_s`, else SWEEP_STORE_PATIENCE_S, else 120 s.
    Raises BadInput for another scheme or a place that cannot be used.
    """
    scheme, separator, path = address.partition("://")
    if scheme == "s3" and separator:
        return _open_s3(address, patience_s)
    if separator and scheme != "file":
        raise BadInput(
            f"store {address}: unknown scheme '{scheme}'; write a path, file://PATH or "
            "s3://BUCKET/PREFIX"
        )
    from sweep.store.folder import FolderStore

    return FolderStore.open(path if separator else address)


def _open_s3(address: str, patience_s: float | None) -> Store:
    try:
        from sweep.store.s3 import S3Store
    except ModuleNotFoundError as error:
        raise BadInput(
            f"store {address} needs {error.name}, which is not installed; "
            "pip install 'hydra-kubernetes-sweep[s3]'"
        ) from None
    return S3Store.open(address, patience_s=patience_s)
