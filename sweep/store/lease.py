"""Hold a lease in a bucket: an object that its holder keeps young."""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from sweep.errors import Busy, StoreLost
from sweep.store.bucket import Bucket, Changed, Found

# Time that passes while the machine sleeps counts too; Linux alone has such a clock.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_TRIES = 3  # against others that want it at the same moment

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """How often a lease is renewed, and how old one may be taken over."""

    renew_s: float = 10.0
    lost_s: float = 60.0


class Lease:
    """One holder's lease; a thread renews it, and `check` tells whether it still is ours.

    It is lost once another has taken it over, which nobody does before it is `lost_s` old by the
    store's clock. A store that is away loses it for nobody.
    """

    def __init__(self, bucket: Bucket, key: str, who: str, *, terms: Terms, what: str) -> None:
        self._bucket = bucket
        self._key = key
        self._who = who
        self._terms = terms
        self._what = what  # is conducted, for the text of Busy
        self._token = secrets.token_hex(8)
        self._beats = 0
        self._mine = Found()
        self._renewed = 0.0
        self._taker: str | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew_often, name="lease", daemon=True)

    def take(self) -> None:
        """Take it, and renew it from now on; Busy names who has it."""
        for _ in range(_TRIES):
            there = look(self._bucket, self._key)
            if self._is_ours(there):
                self._adopt(there)
            elif in_force(there, self._terms):
                raise self._busy(_holder(there))
            else:
                self._mine = there
                try:
                    self._beat(self._bucket)
                except Changed:
                    continue
            self._thread.start()
            return
        raise self._busy("another process")

    def check(self) -> None:
        """Return while it is ours; Busy names who took it over.

        Asks the store where the last renewal is old: this process may have been asleep.
        """
        with self._lock:
            if self._taker is None and _now() - self._renewed > 2 * self._terms.renew_s:
                self._renew(self._bucket)
            if self._taker is not None:
                raise self._busy(self._taker)

    def give_back(self) -> None:
        """End it, so that the next need not wait; whoever took it over keeps it."""
        self._stop.set()
        with self._lock:
            if self._taker is not None:
                log.warning("%s was taken over by %s", self._what, self._taker)
                return
            with suppress(StoreLost, Changed):  # it ends by itself
                # Not deleted: some stores ignore If-Match there, and it might be another's by now.
                self._bucket.impatient().put(self._key, b"{}", over=self._mine)

    def _renew_often(self) -> None:
        while not self._stop.wait(self._terms.renew_s):
            with self._lock, suppress(StoreLost):
                if self._taker is None and not self._stop.is_set():
                    self._renew(self._bucket.impatient())

    def _renew(self, bucket: Bucket) -> None:
        try:
            self._beat(bucket)
        except Changed:
            there = look(bucket, self._key)
            if self._is_ours(there):
                self._adopt(there)
            else:
                self._taker = _holder(there)

    def _is_ours(self, there: Found) -> bool:
        return _token(there) == self._token  # and the answer to our last write was lost

    def _adopt(self, there: Found) -> None:
        self._mine = there
        self._renewed = _now() - there.age_s

    def _beat(self, bucket: Bucket) -> None:
        began = _now()
        self._beats += 1  # so that no two renewals look alike to who takes it over
        body = {"holder": self._who, "token": self._token, "beat": self._beats}
        etag = bucket.put(self._key, json.dumps(body).encode(), over=self._mine)
        self._mine = Found(etag=etag)
        self._renewed = began

    def _busy(self, holder: str) -> Busy:
        return Busy(
            f"{self._what} is conducted by {holder}; wait for it to end, or end it (one that died "
            f"is forgotten after {self._terms.lost_s:.0f} s)"
        )


def look(bucket: Bucket, key: str) -> Found:
    """Read a lease as it stands, whoever has it."""
    try:
        return bucket.get(key)
    except KeyError:
        return Found()


def in_force(lease: Found, terms: Terms) -> bool:
    """Tell whether a lease has a holder who may be alive."""
    return bool(_token(lease)) and lease.age_s < terms.lost_s


def _holder(lease: Found) -> str:
    return _field(lease, "holder") or "another process"


def _token(lease: Found) -> str:
    return _field(lease, "token")


def _field(lease: Found, name: str) -> str:
    try:
        return str(json.loads(lease.data)[name])
    except (ValueError, LookupError, TypeError):  # absent, given back, or no lease at all
        return ""


def _now() -> float:
    return time.clock_gettime(_CLOCK)
