"""Keep a study in a folder of this machine."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sweep.errors import BadInput, Busy, StoreLost

LEASE_WAITS_S = (0.05, 0.1, 0.2)  # `held` takes a lease for an instant, and is no conductor


class FolderStore:
    """Objects as files: replaced by rename, created by hard link, so none is ever half there."""

    def __init__(self, root: Path, *, part: bool = False) -> None:
        self.root = root
        self._part = part  # its folder is made through the whole alone, and stays gone once gone

    @classmethod
    def open(cls, path: str) -> FolderStore:
        """Open a folder, which is made with the first write.

        Raises BadInput where it cannot be written.
        """
        root = Path(path).expanduser().absolute()
        place = root
        while not os.path.lexists(place):  # false too below a folder that we may not enter
            place = place.parent
        if not place.is_dir():
            raise BadInput(f"store {path}: {place} is not a folder; name another place")
        if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
            raise BadInput(f"store {path}: {place} cannot be written; name another place")
        return cls(root)

    @property
    def url(self) -> str:
        """Give the address."""
        return f"file://{self.root}"

    def read(self, key: str, start: int = 0) -> bytes:
        """Return an object's bytes from `start` on; KeyError where it is absent."""
        try:
            with (self.root / key).open("rb") as file:
                file.seek(start)
                return file.read()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise KeyError(key) from None
        except OSError as error:
            raise self._unread(key, error) from error

    def write(self, key: str, data: bytes) -> None:
        """Write or replace an object, atomically."""
        with self._writing(key) as path:
            temporary = self._temporary(path, data)
            temporary.replace(path)

    def create(self, key: str, data: bytes) -> bool:
        """Write an object that must not exist yet; tell whether this call wrote it."""
        with self._writing(key) as path:
            temporary = self._temporary(path, data)
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
            finally:
                temporary.unlink()
            return True

    def append(self, key: str, data: bytes) -> None:
        """Add to an object's end, in one write."""
        with self._writing(key) as path, path.open("ab", buffering=0) as file:
            written = file.write(data)
            if written != len(data):  # a full disk can take a part
                raise OSError(28, os.strerror(28))

    def sizes(self, prefix: str) -> dict[str, int]:
        """Map the keys below a prefix to sizes in bytes."""
        try:
            return dict(_walk(self.root / prefix, prefix))
        except OSError as error:
            raise self._unread(prefix, error) from error

    def folders(self) -> list[str]:
        """Name the first parts of all keys."""
        try:
            with os.scandir(self.root) as entries:
                return sorted(e.name for e in entries if e.is_dir() and not _hidden(e.name))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unread("", error) from error

    def delete(self, key: str) -> None:
        """Remove an object; one that is absent already is no error."""
        with self._writing(key) as path:
            path.unlink(missing_ok=True)

    @contextmanager
    def hold(self, key: str, who: str) -> Iterator[None]:
        """Hold a lease by flock, which the system gives back however its holder ends."""
        with self._writing(key) as path:
            file = path.open("a+")
        with file:
            for wait_s in (*LEASE_WAITS_S, None):
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if wait_s is None:
                        holder = _first_words(file)
                        raise Busy(
                            f"{self.url} is conducted by {holder}; wait for it to end, or end it"
                        ) from None
                time.sleep(wait_s)
            file.truncate(0)
            file.write(who)
            file.flush()
            yield

    def held(self, key: str) -> bool:
        """Tell whether somebody holds a lease; nothing is written."""
        try:
            with (self.root / key).open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        except OSError as error:
            raise self._unread(key, error) from error
        return False

    def at(self, prefix: str) -> FolderStore:
        """Return the part of this store below a prefix."""
        return FolderStore(self.root / prefix, part=True)

    def _unread(self, key: str, error: OSError) -> StoreLost:
        return StoreLost(
            f"store {self.root}: {key or 'it'} cannot be read ({error.strerror}); "
            "restore the folder, then resume the study"
        )

    @contextmanager
    def _writing(self, key: str) -> Iterator[Path]:
        path = self.root / key
        try:
            if self._part and not self.root.is_dir():
                raise FileNotFoundError(2, "the folder is gone")
            path.parent.mkdir(parents=True, exist_ok=True)
            yield path
        except OSError as error:
            raise StoreLost(
                f"store {self.root}: {key} cannot be written ({error.strerror}); "
                "free space or restore the folder, then resume the study"
            ) from error

    def _temporary(self, path: Path, data: bytes) -> Path:
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        try:
            temporary.write_bytes(data)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        return temporary


def _first_words(file: IO[str]) -> str:
    file.seek(0)
    return file.read() or "another process"


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, int]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in entries:
        if _hidden(entry.name):
            continue
        if entry.is_dir():
            yield from _walk(folder / entry.name, f"{prefix}{entry.name}/")
            continue
        try:
            yield f"{prefix}{entry.name}", entry.stat().st_size
        except FileNotFoundError:  # deleted since it was listed
            continue


def _hidden(name: str) -> bool:
    return name.startswith(".")
