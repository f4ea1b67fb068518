"""Keep a study in an S3 bucket."""

from __future__ import annotations

import os
import secrets
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sweep.errors import BadInput, StoreLost
from sweep.store.bucket import Bucket, Changed, Found, Refused
from sweep.store.lease import Lease, Terms, in_force, look

PATIENCE = "SWEEP_STORE_PATIENCE_S"
PATIENCE_S = 120.0
FIRST_PATIENCE_S = 10.0  # a wrong address is more likely than a store that just went away
REMEMBERED = 16  # objects that this process appends to, kept whole in memory
APPEND_TRIES = 20


class S3Store:
    """Objects below a prefix; one endpoint, region and pair of keys, from the AWS_ variables.

    A store that is away is waited for; then StoreLost. While it holds a lease, every write first
    makes sure that the lease is still its own: Busy names who took it over.
    """

    def __init__(
        self,
        bucket: Bucket,
        prefix: str = "",
        *,
        terms: Terms | None = None,
        whole: S3Store | None = None,
    ) -> None:
        self._bucket = bucket
        self._prefix = prefix  # '' or ends in '/'
        self._terms = terms or Terms()
        self._whole = whole  # this one is a part of
        self._leases: list[Lease] = []
        self._appended: OrderedDict[str, Found] = OrderedDict()

    @classmethod
    def open(
        cls,
        address: str,
        *,
        patience_s: float | None = None,
        terms: Terms | None = None,
    ) -> S3Store:
        """Open s3://BUCKET/PREFIX and ask it once.

        A store that is away is waited for `patience_s`, else SWEEP_STORE_PATIENCE_S. Raises
        BadInput where it refuses, StoreLost where it does not answer.
        """
        name, _, prefix = address.removeprefix("s3://").partition("/")
        prefix = f"{prefix.strip('/')}/".lstrip("/")
        if patience_s is None:
            patience_s = patience_of(os.environ)
        bucket = Bucket.reach(name, env=os.environ, patience_s=patience_s)
        try:
            next(bucket.impatient(FIRST_PATIENCE_S).pages(prefix, MaxKeys=1))
        except Refused as error:
            raise BadInput(str(error)) from None
        return cls(bucket, prefix, terms=terms)

    @property
    def url(self) -> str:
        """Give the address."""
        return f"s3://{self._bucket.name}/{self._prefix}".rstrip("/")

    def read(self, key: str, start: int = 0) -> bytes:
        """Return an object's bytes from `start` on; KeyError where it is absent."""
        return self._bucket.get(self._prefix + key, start).data

    def write(self, key: str, data: bytes) -> None:
        """Write or replace an object, atomically."""
        self._check_leases()
        self._bucket.put(self._prefix + key, data)

    def create(self, key: str, data: bytes) -> bool:
        """Write an object that must not exist yet; tell whether this call wrote it."""
        self._check_leases()
        return self._put_over(key, data, over=Found()) is not None

    def append(self, key: str, data: bytes) -> None:
        """Add to an object's end by writing all of it anew.

        What this process wrote is remembered. A second writer is noticed, and loses nothing.
        """
        self._check_leases()
        for _ in range(APPEND_TRIES):
            there = self._appended.pop(key, None) or look(self._bucket, self._prefix + key)
            whole = there.data + data
            etag = self._put_over(key, whole, over=there)
            if etag is not None:
                self._remember(key, Found(whole, etag))
                return
        raise StoreLost(f"{self.url}/{key} has several writers; end all but one")

    def sizes(self, prefix: str) -> dict[str, int]:
        """Map the keys below a prefix to sizes in bytes."""
        start = len(self._prefix)
        return {
            found["Key"][start:]: found["Size"]
            for page in self._bucket.pages(self._prefix + prefix)
            for found in page.get("Contents", ())
            if not found["Key"].endswith("/")  # a browser's mark of an empty folder
        }

    def folders(self) -> list[str]:
        """Name the first parts of all keys."""
        start = len(self._prefix)
        return sorted(
            found["Prefix"][start:-1]
            for page in self._bucket.pages(self._prefix, Delimiter="/")
            for found in page.get("CommonPrefixes", ())
        )

    def delete(self, key: str) -> None:
        """Remove an object; one that is absent already is no error."""
        self._check_leases()
        self._bucket.delete(self._prefix + key)

    @contextmanager
    def hold(self, key: str, who: str) -> Iterator[None]:
        """Hold a lease, renewed by a thread; a dead holder's lasts for another minute."""
        place = self._prefix + key
        lease = Lease(self._bucket, place, who, terms=self._terms, what=self.url)
        lease.take()
        self._leases.append(lease)
        try:
            yield
        finally:
            self._leases.remove(lease)
            lease.give_back()

    def held(self, key: str) -> bool:
        """Tell whether somebody holds a lease; nothing is written."""
        return in_force(look(self._bucket, self._prefix + key), self._terms)

    def at(self, prefix: str) -> S3Store:
        """Return the part of this store below a prefix."""
        below = f"{self._prefix}{prefix.strip('/')}/"
        return S3Store(self._bucket, below, terms=self._terms, whole=self)

    def _put_over(self, key: str, data: bytes, *, over: Found) -> str | None:
        """Write where the object is that still; return the new ETag, or None where it is not."""
        place, writer = self._prefix + key, secrets.token_hex(8)
        try:
            return self._bucket.put(place, data, writer=writer, over=over)
        except Changed:
            there = look(self._bucket, place)
            # Ours: it was written, the answer was lost, and the second try found the first.
            return there.etag if there.writer == writer else None

    def _remember(self, key: str, written: Found) -> None:
        self._appended[key] = written
        while len(self._appended) > REMEMBERED:
            self._appended.popitem(last=False)

    def _check_leases(self) -> None:
        for lease in self._leases:
            lease.check()
        if self._whole is not None:
            self._whole._check_leases()


def patience_of(env: Mapping[str, str]) -> float:
    """Read for how many seconds a store that is away is waited for.

    Raises BadInput.
    """
    text = env.get(PATIENCE) or str(PATIENCE_S)
    try:
        patience_s = float(text)
    except ValueError:
        patience_s = -1.0
    if not 0 <= patience_s < float("inf"):
        raise BadInput(f"{PATIENCE}={text} is no number of seconds; write {PATIENCE_S:.0f}, say")
    return patience_s
