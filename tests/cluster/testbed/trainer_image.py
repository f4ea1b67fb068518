"""Build the Dockerfile's image, without an engine and without a registry."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path

from testbed.errors import BedError
from testbed.image import CACHE, Image
from testbed.snapshots import BuiltImage, Layer

REPOSITORY = Path(__file__).parents[3]
TAG = "built"  # another one than latest, which is always pulled
ARGUMENTS: Mapping[str, str] = {  # of the Dockerfile
    "TORCH_INDEX": "",  # nothing but this machine's own package index may be asked
    "SWEEP_BUILD_ID": "of-a-test",
    "SWEEP_VERSION": "0.0.0",
    "SWEEP_GIT_SHA": "0" * 40,
}
# This machine's own way to its package index and the certificates that it trusts.
BORROWED = (Path("/etc/pip.conf"), Path("/etc/ssl/certs"))


def build_trainer(
    base: Image, *, role: str = "trainer", arguments: Mapping[str, str] = ARGUMENTS
) -> BuiltImage:
    """Build the image of the working tree on a base; layers are kept on this machine.

    `arguments` are the Dockerfile's, beside its ROLE. Raises BedError with the end of what the
    build said.
    """
    storage = CACHE / f"trainer-{_key(base)}"
    storage.mkdir(parents=True, exist_ok=True)
    with (CACHE / "trainer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for older in CACHE.glob("trainer-*"):
            if older != storage:
                shutil.rmtree(older)
        name = f"localhost/sweep-{role}:{TAG}"
        _build(storage, base, name, {**arguments, "ROLE": role})
        return _read(storage, name)


def _key(base: Image) -> str:
    # What decides about the layer of packages, 5 GB; what comes after it is built in seconds.
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    packages = [*project["dependencies"], *project["optional-dependencies"]["worker"]]
    files = [(REPOSITORY / name).read_text() for name in ("Dockerfile", "constraints.txt")]
    return hashlib.sha256(json.dumps([base.digest, packages, files]).encode()).hexdigest()[:16]


def _build(storage: Path, base: Image, name: str, arguments: Mapping[str, str]) -> None:
    if not _buildah(storage, "images", "--quiet", base.name, check=False):
        _buildah(storage, "pull", f"docker-archive:{base.archive}")
    _buildah(
        storage,
        "build",
        "--isolation=chroot",  # needs neither a runtime nor cgroups
        "--layers",
        "--pull-never",
        *(f"--build-arg={key}={value}" for key, value in arguments.items()),
        *(f"--volume={path}:{path}:ro" for path in BORROWED if path.exists()),
        f"--tag={name}",
        str(REPOSITORY),
    )


def _read(storage: Path, name: str) -> BuiltImage:
    told = json.loads(_buildah(storage, "inspect", "--type=image", name))
    root = storage / "storage"
    layers = {each["id"]: each for each in _listed(root / "overlay-layers" / "layers.json")}
    images = _listed(root / "overlay-images" / "images.json")
    (place,) = [each["layer"] for each in images if each["id"] == told["FromImageID"]]
    found: list[Layer] = []
    while place:
        entry = layers[place]
        found.append(Layer(digest=entry["diff-digest"], folder=root / "overlay" / place / "diff"))
        place = entry.get("parent", "")
    return BuiltImage(
        name=name,
        config=told["Config"].encode(),
        manifest=told["Manifest"].encode(),
        layers=tuple(reversed(found)),
    )


def _listed(file: Path) -> list[dict[str, str]]:
    entries: list[dict[str, str]] = json.loads(file.read_text())
    return entries


def _buildah(storage: Path, *words: str, check: bool = True) -> str:
    places = [f"--root={storage}/storage", f"--runroot={storage}/run"]
    done = subprocess.run(
        ["buildah", *places, "--storage-driver=overlay", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    if check and done.returncode:
        raise BedError(f"buildah {words[0]} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout.strip()
