"""Tell an MLflow that is away from one that refuses a single thing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping

from sweep.errors import SweepError

REFUSALS = (
    "BAD_REQUEST",
    "INVALID_PARAMETER_VALUE",
    "INVALID_STATE",
    "RESOURCE_ALREADY_EXISTS",
    "RESOURCE_DOES_NOT_EXIST",
)
LOCKED = ("UNAUTHENTICATED", "PERMISSION_DENIED")


class Away(SweepError):
    """Tell that MLflow cannot be reached; never leaves this room."""


class Locked(Away):
    """Tell that MLflow answers, and does not let this client in."""


class Refused(SweepError):
    """Tell that MLflow answers, but does not take this one thing; never leaves this room."""


def failures() -> tuple[type[Exception], ...]:
    """List what a client raises when its server, database or artifact store is at fault."""
    from mlflow.exceptions import MlflowException

    # requests' errors are OSErrors; a page that is no API answers with no JSON.
    found: list[type[Exception]] = [MlflowException, OSError, json.JSONDecodeError]
    found += _loaded("sqlalchemy.exc", ["SQLAlchemyError"])
    found += _loaded("botocore.exceptions", ["BotoCoreError", "ClientError"])
    return tuple(found)


def is_refusal(error: Exception) -> bool:
    """Tell whether MLflow answered, and would answer other requests."""
    return getattr(error, "error_code", None) in REFUSALS


def is_locked(error: Exception) -> bool:
    """Tell whether MLflow asks for a user and password, or for others."""
    return getattr(error, "error_code", None) in LOCKED


def lock_line(env: Mapping[str, str]) -> str:
    """Say what opens an MLflow that does not let this client in."""
    user = env.get("MLFLOW_TRACKING_USERNAME")
    if not user:
        return "it asks for a password: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    return (
        f"it does not let user {user} in: look at MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD"
    )


def first_line(error: Exception) -> str:
    """Write an error so that it fits into one line of a log."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line if len(line) <= 200 else line[:199] + "…"


def _loaded(module: str, names: Iterable[str]) -> list[type[Exception]]:
    if module not in sys.modules:
        return []
    return [getattr(sys.modules[module], name) for name in names]
