"""Bring code and data of a study to where its workers find them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from sweep.errors import BadInput
from sweep.plan import shared
from sweep.plan.application import Application
from sweep.plan.facets import Flat
from sweep.plan.trial import Trial, Value
from sweep.store import Store
from sweep.study.bundling import Code, gather
from sweep.study.fetching import S3, Files
from sweep.study.uploading import hash_file, missing_parts, refuse_large, upload

IMAGE, BUNDLE = "image", "bundle"
MOST_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """One file of data that the trials name."""

    path: str  # as the configuration has it
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """What has to reach the workers, hashed and not yet sent."""

    code: Code | None = None
    files: Sequence[DataFile] = ()

    @property
    def facts(self) -> dict[str, Value]:
        """Give what study.json says of it, by which workers find it."""
        found: dict[str, Value] = {}
        if self.code is not None:
            found["code"] = {"bundle": self.code.bundle.sha256, "task": self.code.task}
        if self.files:
            found["files"] = {
                file.path: {"sha256": file.sha256, "size": file.size} for file in self.files
            }
        return found


def is_far(store: Store) -> bool:
    """Tell whether a store is on another machine, so that its workers may be too."""
    return not store.url.startswith("file://")


def pack_up(
    *,
    task: str,
    root: Path,
    code: Value,
    store: Store,
    application: Application | None,
    files: Files,
    flats: Sequence[Flat],
    trials: Sequence[Trial],
) -> Shipment:
    """Gather the task's code where `code` is 'bundle', and hash the files that trials name.

    Files are taken along where the store is on another machine; `root` is the client's folder.
    Nothing is written. Raises BadInput.
    """
    if code not in (IMAGE, BUNDLE):
        raise BadInput(f"hydra.launcher.code={code}: no such choice; there are {IMAGE}, {BUNDLE}")
    return Shipment(
        code=gather(task, root=root) if code == BUNDLE else None,
        files=data_files(
            store=store, application=application, files=files, flats=flats, trials=trials
        ),
    )


def data_files(
    *,
    store: Store,
    application: Application | None,
    files: Files,
    flats: Sequence[Flat],
    trials: Sequence[Trial],
    known: Collection[str] = (),
) -> list[DataFile]:
    """Hash the files that trials name and workers may not find; `known` paths are left out.

    Raises BadInput.
    """
    return [
        _data_file(key, path, files=files)
        for key, path in _paths(application, flats, trials)
        if path not in known and (path.startswith(S3) or is_far(store))
    ]


def send(shipment: Shipment, *, store: Store, console: Console) -> None:
    """Write into the store what it does not hold yet, and say so.

    Raises BadInput, StoreLost.
    """
    if shipment.code is not None:
        _send_code(shipment.code, store=store, console=console)
    for file in shipment.files:
        if not file.path.startswith(S3):
            _send_file(file, store=store, console=console)


def _paths(
    application: Application | None, flats: Sequence[Flat], trials: Sequence[Trial]
) -> list[tuple[str, str]]:
    if application is None:
        return []
    found: dict[str, str] = {}
    for config in (*flats, *(trial.values for trial in trials)):
        for key in application.paths:
            path = config.get(key)
            if isinstance(path, str) and "${" not in path:
                found.setdefault(path, key)
    return [(key, path) for path, key in found.items()]


def _data_file(key: str, path: str, *, files: Files) -> DataFile:
    here = Path(files.place(path))
    sha256, size = hash_file(here)
    if not path.startswith(S3):
        refuse_large(key, here, size=size)
    return DataFile(path=path, sha256=sha256, size=size)


def _send_code(code: Code, *, store: Store, console: Console) -> None:
    store.create(shared.bundle_key(code.bundle.sha256), code.bundle.data)
    size = len(code.bundle.data) / 2**10
    name = code.bundle.sha256[:12]
    _say(console, f"code     {code.files} files, {size:,.0f} KiB, as bundle {name}")
    if code.untracked:
        named = ", ".join(code.untracked[:MOST_NAMED])
        more = len(code.untracked) - MOST_NAMED
        _say(
            console,
            f"         not tracked by git, so left out: {named}"
            + (f" and {more} more" if more > 0 else ""),
        )


def _send_file(file: DataFile, *, store: Store, console: Console) -> None:
    missing = missing_parts(store, file.sha256, size=file.size)
    if not missing:
        _say(console, f"data     {file.path} is in the store ({file.sha256[:12]})")
        return
    columns = (TextColumn("data     {task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=console, transient=True) as progress:
        task = progress.add_task(file.path, total=file.size)
        upload(
            Path(file.path),
            store=store,
            sha256=file.sha256,
            size=file.size,
            told=lambda done: progress.advance(task, done),
        )
    _say(console, f"data     {file.path} uploaded, {_size(file.size)} ({file.sha256[:12]})")


def _size(size: int) -> str:
    for unit, bytes_ in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= bytes_:
            return f"{size / bytes_:.3g} {unit}"
    return f"{size} bytes"


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
