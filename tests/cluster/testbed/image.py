"""Make container images without a registry or an engine."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.errors import BedError

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sweep-tests" / "images"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

PAUSE = "localhost/shell:1"  # what holds a pod's namespaces; any image that sleeps will do
BUSYBOX = Path("/bin/busybox")  # of busybox-static: needs no libraries beside it
APPLETS = ("sh", "cat", "sleep", "ls", "id", "env", "kill", "dd", "tail", "true", "false", "httpd")


@dataclass(frozen=True, slots=True)
class Image:
    """An image in a file, as `docker save` writes it."""

    name: str
    archive: Path
    digest: str  # of what it holds: the same digest, the same image


def shell_image() -> Image:
    """Make the smallest image that has a shell; it serves as the pods' pause image too."""
    if not BUSYBOX.exists():
        raise BedError(f"{BUSYBOX} is missing; install busybox-static")
    program = BUSYBOX.read_bytes()
    digest = hashlib.sha256(program + "\n".join(APPLETS).encode()).hexdigest()[:16]
    archive = CACHE / f"shell-{digest}.tar"
    if not archive.exists():
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            for folder in ("bin", "tmp", "etc"):
                tar.addfile(_folder(folder))
            tar.addfile(_file("bin/busybox", len(program), mode=0o755), io.BytesIO(program))
            for applet in APPLETS:
                tar.addfile(_link(f"bin/{applet}", "busybox"))
        beside = archive.with_suffix(".layer")
        archive.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(layer.getvalue())
        write_archive(archive, name=PAUSE, layers=[beside], command=["sleep", "2147483647"])
        beside.unlink()
    return Image(name=PAUSE, archive=archive, digest=digest)


def write_archive(
    archive: Path,
    *,
    name: str,
    layers: Sequence[Path],
    command: Sequence[str],
    entrypoint: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> None:
    """Write an image of layers that are tar files, whole or not at all."""
    variables = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        **(env or {}),
    }
    config = {
        "architecture": ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {
            "Cmd": list(command),
            "Entrypoint": list(entrypoint),
            "Env": [f"{key}={variables[key]}" for key in variables],
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_digest(each)}" for each in layers]},
        "history": [{} for _ in layers],
    }
    body = json.dumps(config).encode()
    listed = {
        "Config": f"{hashlib.sha256(body).hexdigest()}.json",
        "RepoTags": [name],
        "Layers": [f"{place}.tar" for place in range(len(layers))],
    }
    manifest = json.dumps([listed]).encode()
    beside = archive.with_suffix(".new")
    with tarfile.open(beside, "w") as tar:
        for place, layer in enumerate(layers):
            with layer.open("rb") as data:
                tar.addfile(_file(f"{place}.tar", layer.stat().st_size), data)
        tar.addfile(_file(listed["Config"], len(body)), io.BytesIO(body))
        tar.addfile(_file("manifest.json", len(manifest)), io.BytesIO(manifest))
    beside.replace(archive)


def _digest(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def _folder(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
    return entry


def _link(name: str, target: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    return entry


def _file(name: str, size: int, mode: int = 0o644) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, mode
    return entry
