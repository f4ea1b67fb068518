"""Check what a study needs of this machine, and say what to do where it lacks."""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from sweep import __version__
from sweep.cluster.cpus import usable_cpus
from sweep.errors import Busy, SweepError
from sweep.store import Store
from sweep.study.reaching import find_store
from sweep.tracking.address import default_uri, without_password

NEEDED = ("hydra-core", "omegaconf", "pydantic", "rich")
OPTIONAL = ("torch", "numpy", "mlflow", "boto3")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    what: str
    ok: bool
    found: str  # or what to do


def examine(*, store: str | None, env: Mapping[str, str], cwd: Path) -> list[Check]:
    """Look at versions, processors, store, tracking and cluster.

    `store` is the address that a person gave; None: as every verb chooses it.
    """
    return [
        _versions(),
        Check("processors", ok=True, found=f"{usable_cpus()} usable here (affinity and quota)"),
        _guarded("store", lambda: _store(find_store(store, env=env))),
        _guarded("tracking", lambda: _tracking(env, cwd)),
        _guarded("cluster", lambda: _cluster(env)),
    ]


def _versions() -> Check:
    found = [f"sweep {__version__}", f"python {platform.python_version()}"]
    missing: list[str] = []
    for name in (*NEEDED, *OPTIONAL):
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    lacking = [name for name in missing if name in NEEDED]
    text = ", ".join(found)
    if lacking:
        return Check("versions", ok=False, found=f"install {', '.join(lacking)}; there is {text}")
    absent = f"; not installed: {', '.join(missing)} (needed by the LSTM application)"
    return Check("versions", ok=True, found=text + (absent if missing else ""))


def _store(store: Store) -> str:
    name = f".doctor-{os.getpid()}-{secrets.token_hex(4)}"
    place = store.at(name)
    try:
        if not store.create(f"{name}/probe", b"1") or place.create("probe", b"2"):
            raise SweepError("it ignores 'write only if absent'; use another store")
        if place.read("probe") != b"1":
            raise SweepError("it does not give back what was written; use another store")
        _check_lease(place)
    finally:
        for key in place.sizes(""):
            place.delete(key)
        _remove(store.url, place.url)
    return f"{store.url}: writes, writes once, holds a lease"


def _check_lease(place: Store) -> None:
    with place.hold("lease", "doctor"):
        try:
            with place.hold("lease", "another"):
                pass
        except Busy:
            return
    raise SweepError(
        "it gives one lease to two; use a file system that knows flock, or S3 with If-Match"
    )


def _remove(root: str, place: str) -> None:
    for url in (place, root):
        folder = Path(url.removeprefix("file://"))
        if url.startswith("file://") and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _tracking(env: Mapping[str, str], cwd: Path) -> str:
    try:
        metadata.version("mlflow")
    except metadata.PackageNotFoundError:
        return "off: mlflow is not installed"
    from sweep.tracking.failures import Away, Locked
    from sweep.tracking.server import open_tracker

    uri = default_uri(None, env=env, cwd=cwd)
    shown = without_password(uri)
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        return f"{shown}: made with the first study"
    tracker = open_tracker(uri, experiment="Default")
    try:
        tracker.ask(lambda client: client.search_experiments(max_results=1))
    except Locked as error:
        raise SweepError(f"{shown}: {error}") from None
    except Away as error:
        raise SweepError(
            f"{shown} does not answer ({error}); start it, or unset MLFLOW_TRACKING_URI; "
            "studies run without it"
        ) from None
    return f"{shown}: answers"


def _cluster(env: Mapping[str, str]) -> str:
    from sweep.cluster.release import look_for_release

    found = look_for_release(env=env)
    if found.api is None or found.release is None:
        return f"here, on this machine ({found.why})"
    from sweep.cluster.api import Away, Refused
    from sweep.cluster.rights import missing_rights

    try:
        missing = missing_rights(found.api)
    except (Away, Refused) as error:
        raise SweepError(f"{found.why}: {error}") from None
    if missing:
        raise SweepError(
            f"{found.why}: you may not {', '.join(missing)}; have the Role sweep-submitter bound "
            "to you"
        )
    release = found.release
    image = release.image or "none, name one by hydra.launcher.image"
    return f"{found.why}; image {image}; store {release.store or 'none'}"


def _guarded(what: str, look: Callable[[], str]) -> Check:
    try:
        return Check(what, ok=True, found=look())
    except SweepError as error:
        return Check(what, ok=False, found=str(error))
