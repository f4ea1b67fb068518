"""Say where MLflow is, and where a person opens it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit


def default_uri(explicit: str | None, *, env: Mapping[str, str], cwd: Path) -> str:
    """Choose the tracking URI: the one given, MLFLOW_TRACKING_URI, or a file in `cwd`."""
    return explicit or env.get("MLFLOW_TRACKING_URI") or f"sqlite:///{cwd.absolute()}/mlflow.db"


def is_server(uri: str) -> bool:
    """Tell whether `uri` names an MLflow server, as opposed to a database of this client."""
    return urlsplit(uri).scheme in ("http", "https")


def without_password(uri: str) -> str:
    """Write `uri` so that it may be printed."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def page(uri: str, path: str) -> str:
    """Join the address of a server with the `path` of a page, '#/experiments/...'.

    Where there is no server yet, the path alone comes back: `opening` says how to start one.
    """
    return f"{without_password(uri).rstrip('/')}/{path}" if is_server(uri) else path


def opening(uri: str) -> str:
    """Tell how a person opens what is at `uri`: an address, or the command that serves it."""
    if is_server(uri):
        return without_password(uri)
    return f"{command()} ui --backend-store-uri {without_password(uri)}"


def command() -> str:
    """Name MLflow's command as this shell finds it: by itself, or by this interpreter."""
    return "mlflow" if shutil.which("mlflow") else f"{sys.executable} -m mlflow"
