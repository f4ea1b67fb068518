"""Deal with an MLflow that is a database of this client, not a server."""

from __future__ import annotations

import sqlite3
from pathlib import Path

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")


def is_database(uri: str) -> bool:
    """Tell whether `uri` names a database."""
    return uri.partition(":")[0].partition("+")[0] in DATABASES


def knock(uri: str) -> None:
    """Connect once; MLflow itself tries for 100 s where a database cannot be opened.

    Raises OSError, or SQLAlchemy's errors.
    """
    path = _sqlite_path(uri)
    if path is None:
        _knock_by_sqlalchemy(uri)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        sqlite3.connect(path).close()
    except sqlite3.Error as error:
        raise OSError(f"{path}: {error}") from error


def import_store(uri: str) -> None:
    """Import what the first use of a database would, 0.6 s; nothing is connected."""
    if not is_database(uri):
        return
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
    from sqlalchemy.orm import configure_mappers

    configure_mappers()


def artifact_root(uri: str) -> str | None:
    """Keep artifacts beside a sqlite file; MLflow would take the working directory."""
    path = _sqlite_path(uri)
    return None if path is None else (path.absolute().parent / "mlruns").as_uri()


def _knock_by_sqlalchemy(uri: str) -> None:
    from sqlalchemy import create_engine

    try:
        engine = create_engine(uri)
    except ImportError as error:
        raise OSError(f"{error}; install the driver of this database") from error
    try:
        engine.connect().close()
    finally:
        engine.dispose()


def _sqlite_path(uri: str) -> Path | None:
    kind, _, path = uri.partition(":///")
    return Path(path) if kind.partition("+")[0] == "sqlite" and path else None
