"""Make images of PostgreSQL and MinIO from this machine's programs, under their makers' names."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from testbed.binaries import binary
from testbed.errors import BedError
from testbed.image import BUSYBOX, CACHE, Image, write_archive
from testbed.postgres import programs_folder

FORMAT = "1"
APPLETS = ("sh", "cat", "chmod", "id", "ls", "mkdir", "rm", "sed", "sleep")
USERS = "root:x:0:0::/:/bin/sh\npostgres:x:999:999::/tmp:/bin/sh\n"
COMPILER = "llvmjit"  # 100 MB that a small database never asks for

# What the official image's entry point does, as far as the chart asks for it.
POSTGRES = """\
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  mkdir -p "$PGDATA"
  echo "$POSTGRES_PASSWORD" >/tmp/password
  initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --auth=scram-sha-256 --no-sync \\
    --encoding=UTF8 --locale=C
  rm /tmp/password
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
  echo "CREATE DATABASE $POSTGRES_DB" | postgres --single -D "$PGDATA" postgres
fi
exec postgres -c "listen_addresses=*" -c unix_socket_directories=/var/run/postgresql "$@"
"""
MINIO = """\
set -eu
export TZ=UTC # MinIO's own main sets it
exec minio "$@"
"""


@dataclass(frozen=True, slots=True)
class _Recipe:
    """What an image is made of."""

    name: str
    entry: str  # a script; empty: a shell
    files: Mapping[str, Path] = field(default_factory=dict)  # place in the image to ours
    path: str = "/bin"


def stack_images(*, postgres: str, minio: str, client: str) -> list[Image]:
    """Make the three images under the names that they are asked for by.

    Raises BedError where a program is missing.
    """
    return [
        _image(_Recipe(postgres, POSTGRES, *_of_postgres())),
        _image(_Recipe(minio, MINIO, {"/bin/minio": binary("minio")})),
        _image(_Recipe(client, "", {"/bin/mc": binary("mc")})),
    ]


def _of_postgres() -> tuple[dict[str, Path], str]:
    programs = programs_folder()
    if programs is None:
        raise BedError("PostgreSQL is not installed; apt-get install postgresql")
    version = programs.parent.name
    found = {}
    for folder in (programs.parent, Path("/usr/share/postgresql") / version):
        for file in sorted(folder.rglob("*")):
            if file.is_file() and COMPILER not in file.name and "bitcode" not in file.parts:
                found[str(file)] = file
    program = (file for place, file in found.items() if "/bin/" in place or place.endswith(".so"))
    return {**found, **_libraries(list(program))}, f"{programs}:/bin"


def _libraries(programs: Sequence[Path]) -> dict[str, Path]:
    done = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False)
    named = (word for line in done.stdout.splitlines() for word in line.split() if "/" in word)
    places = sorted({word for word in named if not word.endswith(":")})
    return {place: Path(place).resolve() for place in places if Path(place).is_file()}


def _image(recipe: _Recipe) -> Image:
    digest = hashlib.sha256(f"{FORMAT}\0{recipe.name}\0{recipe.entry}\0{recipe.path}".encode())
    for place, file in recipe.files.items():
        about = file.stat()
        digest.update(f"{place} {about.st_size} {about.st_mtime_ns}\n".encode())
    key = digest.hexdigest()[:16]
    stem = recipe.name.rpartition("/")[2].partition(":")[0]
    archive = CACHE / f"{stem}-{key}.tar"
    if not archive.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        for older in CACHE.glob(f"{stem}-*.tar"):
            older.unlink()
        layer = archive.with_suffix(".layer")
        with tarfile.open(layer, "w") as tar:
            for entry, body in _entries(recipe):
                tar.addfile(entry, io.BytesIO(body))
        write_archive(
            archive,
            name=recipe.name,
            layers=[layer],
            entrypoint=["sh", "/entry"] if recipe.entry else [],
            command=[] if recipe.entry else ["sh"],
            env={"PATH": recipe.path},
        )
        layer.unlink()
    return Image(name=recipe.name, archive=archive, digest=key)


def _entries(recipe: _Recipe) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    files = {place: file.read_bytes() for place, file in recipe.files.items()}
    files |= {"/bin/busybox": BUSYBOX.read_bytes(), "/etc/passwd": USERS.encode()}
    files |= {"/entry": recipe.entry.encode()} if recipe.entry else {}
    folders = {str(above) for place in files for above in Path(place).parents} - {"/"}
    for folder in sorted({*folders, "/tmp", "/data", "/var/run/postgresql"}):
        entry = tarfile.TarInfo(folder.lstrip("/"))
        entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "/tmp" else 0o755
        yield entry, b""
    for place, body in files.items():
        entry = tarfile.TarInfo(place.lstrip("/"))
        entry.size, entry.mode = len(body), 0o755 if _runs(place) else 0o644
        yield entry, body
    for applet in APPLETS:
        entry = tarfile.TarInfo(f"bin/{applet}")
        entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
        yield entry, b""


def _runs(place: str) -> bool:
    return "/bin/" in place or ".so" in place
