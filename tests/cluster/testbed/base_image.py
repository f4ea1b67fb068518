"""Make a stand-in for the official Python image from Debian's packages."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
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
    debs, root, layer = CACHE / "debs", CACHE / "python.root", CACHE / "python.layer"
    shutil.rmtree(root, ignore_errors=True)
    debs.mkdir(exist_ok=True)
    done = subprocess.run(
        [
            *ALONE,
            "debootstrap",
            "--variant=minbase",
            f"--include={','.join(PACKAGES)}",
            f"--cache-dir={debs}",
            SUITE,
            root,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BedError(f"debootstrap ended with {done.returncode}:\n{done.stdout[-3000:]}")
    (root / "usr/bin/python").symlink_to("python3")
    (root / "root").chmod(0o755)  # an interpreter may be mounted below it
    for path in (root / each for each in DROPPED):
        path.unlink() if path.is_file() else shutil.rmtree(path)
    subprocess.run(["tar", "--create", "--file", layer, "--directory", root, "."], check=True)
    shutil.rmtree(root)
    write_archive(archive, name=NAME, layers=[layer], command=["python3"])
    layer.unlink()
