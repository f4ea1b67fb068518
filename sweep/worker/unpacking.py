"""Let a worker run the code that its study was shipped with, rather than the image's."""

from __future__ import annotations

import atexit
import importlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import sweep
from sweep.errors import CorruptPlan, StoreLost
from sweep.plan import shared
from sweep.plan.bundle import read_bundle
from sweep.plan.round import Study
from sweep.store import Store

HERE = "SWEEP_BUNDLE"  # from ourselves to ourselves: what a restart hands over
EXPECTED = "SWEEP_CODE"  # a Job's own word of what it runs, which nobody changes with the store
PATH = "PYTHONPATH"

_ENTERED: dict[str, Path] = {}  # bundles that stand in front of this process' path


@dataclass(frozen=True, slots=True)
class Code:
    """Where a worker finds its task."""

    task: str
    root: Path  # a script's path is relative to it


class Restart(BaseException):
    """Ask the door to replace this process by one that runs our own package from the bundle."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self.folder = folder

    def go(
        self, arguments: Sequence[str] = (), *, env: Mapping[str, str] | None = None
    ) -> NoReturn:
        """Become `python -m sweep.worker ARGUMENTS` with the bundle in front of its path."""
        # -P: what python -m puts in front, the working directory, must not hide the bundle.
        command = [sys.executable, "-P", "-m", "sweep.worker", *arguments]
        handed = json.dumps({"folder": str(self.folder), "path": os.environ.get(PATH)})
        path = os.pathsep.join([str(self.folder), *filter(None, sys.path)])
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(  # noqa: S606
            sys.executable, command, {**os.environ, **(env or {}), PATH: path, HERE: handed}
        )


def enter_code(store: Store, study: Study) -> Code:
    """Put a study's bundle in front of sys.path; without one the code is that of this machine.

    `store` is the whole. Raises CorruptPlan where the bundle is not what the plan or the Job says,
    and Restart, once, where it holds our own package.
    """
    code = study.facts.get("code") or {}
    sha256 = code.get("bundle")
    expected = os.environ.get(EXPECTED) or sha256
    if expected != sha256:
        raise CorruptPlan(
            f"{store.url}/{study.name}: the plan names code {sha256}, its Job {expected}; restore "
            "the study, or start the multirun again"
        )
    if sha256 is None:
        return Code(study.task, Path(study.directory or "."))
    if sha256 in _ENTERED:  # by an earlier round
        return Code(str(code["task"]), _ENTERED[sha256])
    handed = json.loads(os.environ.pop(HERE, "null"))
    folder = Path(handed["folder"]) if handed else unpack(store, str(sha256))
    own = folder / "sweep" / "__init__.py"
    if own.is_file() and not Path(sweep.__file__).samefile(own):
        if handed is None:
            raise Restart(folder)
        raise CorruptPlan(
            f"this worker runs sweep from {sweep.__file__} and not from its bundle; remove what "
            "comes before PYTHONPATH"
        )
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    # What the task starts finds the code too, and else the path that this worker was given.
    given = handed["path"] if handed else os.environ.get(PATH)
    os.environ[PATH] = os.pathsep.join(filter(None, [str(folder), given]))
    importlib.invalidate_caches()
    _ENTERED[sha256] = folder
    return Code(str(code["task"]), folder)


def unpack(store: Store, sha256: str) -> Path:
    """Write the files of a bundle into a new folder of their own.

    Raises CorruptPlan where the store has another content, or none.
    """
    key = shared.bundle_key(sha256)
    where = f"{store.url}/{key}"
    try:
        files = read_bundle(store.read(key), sha256=sha256, where=where)
    except KeyError:
        raise CorruptPlan(f"{where} does not exist; start the multirun again") from None
    folder = Path(tempfile.mkdtemp(prefix="sweep-code-"))
    try:
        for file in files:
            path = folder / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.data)
            path.chmod(0o755 if file.executable else 0o644)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise StoreLost(f"{folder} cannot be written ({error.strerror}); free space") from None
    return folder
