"""Find the files of data that a study names, on whichever machine this is."""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import BadInput, StoreLost
from sweep.plan.application import (
    Application,
    Tree,
)
from sweep.plan.facets import Facet, Flat
from sweep.plan.round import set_values
from sweep.plan.trial import Value
from sweep.schema import flatten
from sweep.store import Store
from sweep.study.uploading import download, hash_file

if TYPE_CHECKING:
    from sweep.store.bucket import Bucket

S3 = "s3://"
CACHE = "SWEEP_CACHE"
OF_TREES = (  # what an application does with a configuration that may name files
    "run",
    "run_on",
    "baselines",
    "baseline_errors",
    "paired_errors",
    "crown",
    "together",
    "backtest",
    "profile",
)


def cache_folder(env: Mapping[str, str]) -> Path:
    """Choose where files from elsewhere are kept: SWEEP_CACHE, or the temporary folder."""
    return Path(env.get(CACHE) or Path(tempfile.gettempdir()) / f"sweep-cache-{os.getuid()}")


@dataclass(slots=True)
class Files:
    """The files of data that a study names, each looked for once a process."""

    cache: Path
    store: Store | None = None  # the whole, where uploaded files lie
    plan: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)  # path to sha256, size
    _found: dict[str, str] = field(default_factory=dict)

    def place(self, path: str) -> str:
        """Give the path at which a file can be read here.

        A file of the plan is read in place where that has the hash of the plan, else it comes from
        the store; one at s3:// comes from there. Anything else is left as it is. Raises BadInput
        where the content is another one than the plan's.
        """
        if path not in self._found:
            self._found[path] = self._look(path)
        return self._found[path]

    def _look(self, path: str) -> str:
        known = self.plan.get(path)
        if path.startswith(S3):
            expected = str(known["sha256"]) if known else None
            return str(fetch_s3(path, cache=self.cache, expected=expected))
        if known is None:
            return path
        sha256, size = str(known["sha256"]), int(known["size"])
        here = Path(path)
        if here.is_file() and here.stat().st_size == size and hash_file(here)[0] == sha256:
            return path
        cached = self.cache / "data" / sha256 / here.name
        if cached.is_file() and hash_file(cached)[0] == sha256:
            return str(cached)
        if self.store is None:
            raise BadInput(f"{path}: no file with the hash that the study was planned for is here")
        store = self.store
        _write(cached, lambda target: download(target, store=store, sha256=sha256, size=size))
        return str(cached)


def reading(application: Application, files: Files) -> Application:
    """Let an application read its data where `files` finds them; its settings stay as written."""
    if not application.paths:
        return application

    def there(tree: Tree) -> dict[str, Any]:
        flat = flatten(tree)
        found = {key: flat[key] for key in application.paths if isinstance(flat.get(key), str)}
        return set_values(tree, {key: files.place(path) for key, path in found.items()})

    def asking(facet: Facet[Any]) -> Facet[Any]:
        def ask(config: Flat) -> Any:
            places = {
                key: files.place(value)
                for key, value in config.items()
                if key in application.paths and isinstance(value, str) and "${" not in value
            }
            return facet.of({**config, **places})

        return Facet(facet.keys, ask)

    def placed(act: Callable[..., Any] | None) -> Callable[..., Any] | None:
        if act is None:
            return None
        return lambda tree, *rest: act(there(tree), *rest)

    found: dict[str, Any] = {name: placed(getattr(application, name)) for name in OF_TREES}
    return replace(
        application, cost=asking(application.cost), data=asking(application.data), **found
    )


def fetch_s3(address: str, *, cache: Path, expected: str | None = None) -> Path:
    """Read an object of S3 into the cache, again only once it has changed there.

    A server that is away is waited for, as the store is. Raises BadInput where it cannot be read,
    or has another content than the plan expects; StoreLost where S3 stays away.
    """
    bucket, _, key = address.removeprefix(S3).partition("/")
    if not bucket or not key:
        raise BadInput(f"{address}: write s3://BUCKET/KEY")
    from sweep.store.bucket import Changed, Refused

    place = _bucket(bucket, address)
    try:
        found = place.look(key)
        version = [bucket, key, found.etag, found.version or "None"]
        name = hashlib.sha256("\n".join(version).encode()).hexdigest()
        cached = cache / "s3" / name / key.rpartition("/")[2]
        if not cached.is_file() or cached.stat().st_size != found.size:
            _write(cached, lambda target: place.save(key, target, of=found))
    except KeyError:
        raise BadInput(
            f"{address} cannot be read: it does not exist; check the address and AWS_ENDPOINT_URL"
        ) from None
    except Changed:
        raise BadInput(f"{address} changes while it is read; wait until it is written") from None
    except Refused as error:
        raise BadInput(f"{address} cannot be read: {error}") from None
    if expected is not None and hash_file(cached)[0] != expected:
        raise BadInput(
            f"{address} has another content than when the study was planned; restore it, or start "
            "a new study"
        )
    return cached


def _bucket(name: str, address: str) -> Bucket:
    try:
        from sweep.store.bucket import Bucket
        from sweep.store.s3 import patience_of
    except ImportError:
        raise BadInput(f"{address} needs boto3; install it, or name a file") from None
    return Bucket.reach(name, env=os.environ, patience_s=patience_of(os.environ))


def _write(cached: Path, fill: Callable[[Path], None]) -> None:
    # Beside its place and renamed: of two processes that ask at once, each leaves a whole file.
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        target = cached.with_name(f".{secrets.token_hex(8)}")
        try:
            fill(target)
            target.replace(cached)
        finally:
            target.unlink(missing_ok=True)
    except OSError as error:
        raise StoreLost(
            f"{cached.parent} cannot be written ({error.strerror}); free space, or name another "
            f"folder by {CACHE}"
        ) from None
