"""Make a stand-in for the official Python image from Debian's packages."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
from pathlib import Path

from testbed.errors import BedError
from testbed.image import CACHE, Image, write_archive
from testbed.seed import ALONE

SUITE = "bookworm"
NAME = f"docker.io/library/python:3.11-slim-{SUITE}"
PACKAGES = (
    "ca-certificates",
    "libgomp1",
    "libstdc++6",
    "passwd",
    "python3",
    "python3-pip",
    "python3-venv",
)
DROPPED = (  # nobody reads or needs these in a container
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
    "usr/share/doc",
    "usr/share/locale",
    "usr/share/man",
    "usr/lib/python3.11/EXTERNALLY-MANAGED",  # pip installs, as it does in the official image
)
FORMAT = "2"
# In memory: dpkg waits for the disk after each of its files.
MAKE = """\
set -eu
root=$1 layer=$2 dropped=$3
shift 3
mount -t tmpfs -o mode=755 tmpfs "$root"
debootstrap --variant=minbase "$@" "$root"
ln -s python3 "$root/usr/bin/python"
chmod 755 "$root/root" # an interpreter may be mounted below it
cd "$root"
rm -rf $dropped
tar --create --file "$layer" .
"""


def python_image() -> Image:
    """Return an image with Debian's Python under the official one's name, made once a machine.

    Its `python` lies in /usr/bin, not /usr/local/bin. Raises BedError with debootstrap's words.
    """
    words = "\n".join([FORMAT, NAME, *PACKAGES, *DROPPED])
    digest = hashlib.sha256(words.encode()).hexdigest()[:16]
    archive = CACHE / f"python-{digest}.tar"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "python.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            _make(archive)
    return Image(name=NAME, archive=archive, digest=digest)


def _make(archive: Path) -> None:
    debs, layer = CACHE / "debs", CACHE / "python.layer"
    root = CACHE / "python.root"
    for folder in (debs, root):
        folder.mkdir(exist_ok=True)
    chosen = [f"--include={','.join(PACKAGES)}", f"--cache-dir={debs}", SUITE]
    done = subprocess.run(
        [*ALONE, "sh", "-c", MAKE, "make", root, layer, " ".join(DROPPED), *chosen],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BedError(f"debootstrap ended with {done.returncode}:\n{done.stdout[-3000:]}")
    write_archive(archive, name=NAME, layers=[layer], command=["python3"])
    layer.unlink()
    root.rmdir()
