"""Keep in the store how far a trial is, and find it again."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sweep.errors import StoreLost
from sweep.plan import layout
from sweep.plan.trial import Trial
from sweep.store import Store
from sweep.worker.fence import Fence
from sweep.worker.notice import Notice, seconds

log = logging.getLogger(__name__)

FORMAT = 1
EVERY = "SWEEP_CHECKPOINT_S"
EVERY_S = 300.0  # so that a kill without a warning costs five minutes
MOST_BYTES = 16 * 2**20  # of the checkpoint of a trial that rests, in the store
HERE = "on this machine"


@dataclass(frozen=True, slots=True)
class Seconds:
    """What was spent on a trial."""

    cpu: float = 0.0
    gpu: float = 0.0

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.cpu + other.cpu, self.gpu + other.gpu)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A checkpoint as the store has it: the application's bytes, and whose they are."""

    configuration: str  # hash of the resolved configuration
    versions: Mapping[str, str]
    spent: Seconds  # on what it holds
    state: bytes


class Unreadable(ValueError):
    """Tell why an object is no checkpoint."""


def to_bytes(kept: Kept) -> bytes:
    """Write a checkpoint: a line of JSON, then the application's bytes."""
    head = {
        "format": FORMAT,
        "configuration": kept.configuration,
        "versions": dict(kept.versions),
        "spent": asdict(kept.spent),
        "sha256": hashlib.sha256(kept.state).hexdigest(),
    }
    return json.dumps(head).encode() + b"\n" + kept.state


def from_bytes(data: bytes) -> Kept:
    """Read a checkpoint back.

    Raises Unreadable.
    """
    first, _, state = data.partition(b"\n")
    try:
        head = json.loads(first)
        _check(head, state)
        return Kept(
            configuration=head["configuration"],
            versions=dict(head["versions"]),
            spent=Seconds(**head["spent"]),
            state=state,
        )
    except Unreadable:
        raise
    except (ValueError, TypeError, KeyError) as error:
        raise Unreadable(f"it cannot be read ({type(error).__name__})") from None


def _check(head: Mapping[str, Any], state: bytes) -> None:
    if head["format"] != FORMAT:
        raise Unreadable(f"it has format {head['format']}, this version reads {FORMAT}")
    if head["sha256"] != hashlib.sha256(state).hexdigest():
        raise Unreadable("its content does not match its hash")


class Keeper:
    """The checkpoints of one trial in one attempt."""

    def __init__(
        self,
        store: Store,
        trial: Trial,
        *,
        key: str,
        configuration: Callable[[], str],
        versions: Mapping[str, str],
        fence: Fence,
        notice: Notice,
        spent: Callable[[], Seconds],
        among_others: bool = False,
        every_s: float | None = None,
        most_bytes: int = MOST_BYTES,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._trial = trial
        self._key = key
        self._configuration = configuration
        self._versions = versions
        self._fence = fence
        self._notice = notice
        self._spent = spent  # in this attempt so far
        self._among_others = among_others
        self._every_s = seconds(os.environ, EVERY, EVERY_S) if every_s is None else every_s
        self._now = now
        self._due = now() + self._every_s
        self._found: tuple[str, Kept] | None = None
        self._most_bytes = most_bytes  # of a resting trial's checkpoint in the store
        self._here = _resting_place(store, trial.number)
        self.used = False  # whether anything was kept here

    @property
    def last(self) -> bytes | None:
        """What was last kept of this trial, None where it is to begin."""
        return self._found[1].state if self._found else None

    @property
    def continued(self) -> str | None:
        """Name the checkpoint that the trial goes on from."""
        return self._found[0] if self._found else None

    @property
    def carried(self) -> Seconds:
        """Tell what was spent on that checkpoint."""
        return self._found[1].spent if self._found else Seconds()

    def find(self) -> None:
        """Look for the newest checkpoint of the trial; one that is of no use is passed over.

        One that rests on this machine is the newest of all.
        """
        keys = self._store.sizes(layout.trial_prefix(self._trial.number))
        places = {key: place for key in keys if (place := layout.checkpoint_of(key))}
        for key in [HERE, *sorted(places, key=lambda key: places[key], reverse=True)]:
            try:
                kept = from_bytes(self._here.read_bytes() if key == HERE else self._store.read(key))
            except (KeyError, FileNotFoundError):
                continue  # its trial has just ended elsewhere
            except Unreadable as error:
                log.warning("checkpoint %s is passed over: %s", key, error)
                continue
            if kept.configuration != self._configuration():
                log.warning("checkpoint %s is passed over: another configuration's", key)
                continue
            if kept.versions != self._versions:
                log.warning("checkpoint %s is of other versions: last digits may differ", key)
            self._found = key, kept
            return

    def reject(self, why: str) -> None:
        """Say that the checkpoint is of no use, so that the trial begins from its seed."""
        log.warning("checkpoint %s is passed over: %s", self.continued, why)
        self._found = None

    def wanted(self) -> bool:
        """Tell whether to keep a checkpoint now."""
        return self._notice.told or self._now() >= self._due

    def keep(self, state: bytes) -> None:
        """Keep a checkpoint; raises ToldToStop where this process has to end.

        Among others it does not: whoever trains them keeps them all before that.
        """
        self._fence.check()
        kept = Kept(
            configuration=self._configuration(),
            versions=self._versions,
            spent=self.carried + self._spent(),
            state=state,
        )
        self.used = True
        try:
            self._store.write(self._key, to_bytes(kept))
            self._forget_older()
        except StoreLost as error:  # the record may find it there again
            log.warning("trial %s: no checkpoint: %s", self._trial.number, error)
        if not self._among_others:
            self._notice.check()
        self._due = self._now() + self._every_s

    def rest(self, state: bytes) -> None:
        """Keep the checkpoint of a trial that rests; a large one stays on this machine.

        A trial whose checkpoint is nowhere near is trained again from its seed.
        """
        self._fence.check()
        data = to_bytes(
            Kept(
                configuration=self._configuration(),
                versions=self._versions,
                spent=self.carried + self._spent(),
                state=state,
            )
        )
        if len(data) <= self._most_bytes:
            self._store.write(self._key, data)
            self._forget_older()
            self._here.unlink(missing_ok=True)
            return
        self._here.parent.mkdir(parents=True, exist_ok=True)
        beside = self._here.with_suffix(f".{os.getpid()}")
        beside.write_bytes(data)
        beside.replace(self._here)

    def _forget_older(self) -> None:
        # Other workers' checkpoints of the trial are older, whatever their names.
        older = self.continued
        if older not in (None, HERE, self._key):
            self._store.delete(str(older))

    def clear(self) -> None:
        """Remove what was kept of the trial, which has its record."""
        clear_checkpoints(self._store, self._trial.number)


def clear_checkpoints(store: Store, trial: int) -> None:
    """Remove what was kept of a trial that is over."""
    for key in store.sizes(layout.trial_prefix(trial)):
        if layout.checkpoint_of(key):
            store.delete(key)
    _resting_place(store, trial).unlink(missing_ok=True)


def _resting_place(store: Store, trial: int) -> Path:
    """Name the file that holds a checkpoint too large for the store, on this machine alone."""
    study = hashlib.sha256(store.url.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"sweep-resting-{study}" / f"{trial:06d}"
