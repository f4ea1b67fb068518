"""Make environments that have this one's packages and a peer's beside them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from pathlib import Path


class NotInstallable(Exception):
    """Tells what pip said."""


def beside(requirements: Sequence[str]) -> Path:
    """Return the python of an environment with more in it than this one, made once and kept.

    Raises NotInstallable.
    """
    key = hashlib.sha256(repr([sys.prefix, sys.version, requirements]).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "sweep-benchmarks" / key
    python = folder / "bin" / "python"
    if (folder / "ready").exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, symlinks=True)
    [place] = folder.glob("lib/python*/site-packages")
    # addsitedir, so that the editable installs of this environment count there as well
    line = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (place / "beside.pth").write_text(line)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    done = subprocess.run([*pip, *requirements], capture_output=True, text=True)
    if done.returncode:
        raise NotInstallable(done.stderr.strip().splitlines()[-1])
    (folder / "ready").touch()
    return python
