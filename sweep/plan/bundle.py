"""Turn files of code into one object that is named by its content, and back."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from sweep.errors import BadInput, CorruptPlan

MOST_BYTES = 64 << 20  # of all files together: code, not data
MOST_FILES = 20_000
MOST_UNPACKED = 4 * MOST_BYTES  # with the archive's own headers
GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class File:
    """One file of a bundle."""

    name: str  # relative to what stands in front of sys.path, with '/'
    data: bytes
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Bundle:
    """Files of code in one object."""

    sha256: str  # of the archive before it is compressed: compressors differ, contents do not
    data: bytes


def make_bundle(files: Sequence[File]) -> Bundle:
    """Pack files into the same bytes whenever, wherever and in whichever order they are given."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in sorted(files, key=lambda file: file.name):
            entry = tarfile.TarInfo(file.name)
            entry.size = len(file.data)
            entry.mode = 0o755 if file.executable else 0o644
            archive.addfile(entry, io.BytesIO(file.data))
    archived = buffer.getvalue()
    return Bundle(hashlib.sha256(archived).hexdigest(), gzip.compress(archived, mtime=0))


def read_bundle(data: bytes, *, sha256: str, where: str) -> list[File]:
    """Unpack what `make_bundle` packed.

    Raises CorruptPlan, naming `where`, for anything but the content of that hash.
    """
    stream = zlib.decompressobj(wbits=GZIP)
    try:
        archived = stream.decompress(data, MOST_UNPACKED)
    except zlib.error:
        archived = b""
    if hashlib.sha256(archived).hexdigest() != sha256:
        raise CorruptPlan(
            f"{where}: its content does not match the hash in the plan; restore the object, or "
            "start the multirun again"
        )
    with tarfile.open(fileobj=io.BytesIO(archived)) as archive:
        return [_file(archive, entry, where) for entry in archive.getmembers()]


def refuse_large(sizes: Mapping[str, int], *, most: int = MOST_BYTES) -> None:
    """Refuse files that are too many bytes for a bundle.

    Raises BadInput, which names the largest.
    """
    if len(sizes) > MOST_FILES:
        raise BadInput(
            f"hydra.launcher.code=bundle: git tracks {len(sizes):,} files beside the task, and at "
            f"most {MOST_FILES:,} are shipped; move the task into a package of its own"
        )
    total = sum(sizes.values())
    if total <= most:
        return
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))[:3]
    named = ", ".join(f"{name} ({_mib(sizes[name])})" for name in largest)
    raise BadInput(
        f"hydra.launcher.code=bundle: the code is {_mib(total)}, and at most {_mib(most)} are "
        f"shipped; the largest files are {named}: put them into the image, or name them by an "
        "s3:// address"
    )


def _file(archive: tarfile.TarFile, entry: tarfile.TarInfo, where: str) -> File:
    path = PurePosixPath(entry.name)
    content = archive.extractfile(entry) if entry.isfile() else None
    if content is None or path.is_absolute() or ".." in path.parts:
        raise CorruptPlan(f"{where}: {entry.name} is no file below the code; it is not unpacked")
    return File(entry.name, content.read(), executable=bool(entry.mode & 0o100))


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"
