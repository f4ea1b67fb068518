"""Ask an S3 bucket, patiently, and say in one line why it did not answer."""

from __future__ import annotations

import functools
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004  neither it nor the builtin is the other's child
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    SSLError,
)
from botocore.parsers import ResponseParserError
from botocore.utils import parse_timestamp
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay
from tenacity.wait import wait_random_exponential

from sweep.errors import BadInput, StoreLost

CONNECT_S = 5
READ_S = 30
TRIES = 2  # by boto3 itself, for one lost packet; a longer absence is ours to wait for
LONGEST_WAIT_S = 5.0
NAME = re.compile(r"[A-Za-z0-9._-]{3,255}")
WRITER = "sweep-writer"  # metadata: tells a write whose answer was lost from another's
BUSY = frozenset({408, 409, 429})  # 409: two conditional writes at the same time
ABSENT = 404
BEYOND = 416  # nothing is there from `start` on
FULL = 507
CHUNK = 1 << 20

log = logging.getLogger(__name__)
T = TypeVar("T")

REFUSALS = {
    "NoSuchBucket": "the bucket does not exist; make it, or name another",
    "InvalidAccessKeyId": "the access key is unknown there; see AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the secret is wrong; see AWS_SECRET_ACCESS_KEY",
    "AccessDenied": "access is denied; allow these keys to get, put, delete and list its objects",
    "ExpiredToken": "the session's token has expired; renew it, see AWS_SESSION_TOKEN",
    "RequestTimeTooSkewed": "the clock of this machine is wrong; set it",
    "PermanentRedirect": "the bucket lies in another region; see AWS_REGION",
    "AuthorizationHeaderMalformed": "the bucket lies in another region; see AWS_REGION",
}


class Refused(StoreLost):
    """Tell that the store answered, and will not do it however often it is asked."""


class Changed(Exception):
    """A conditional write came too late: the object is there already, or is another one now."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object as it was read."""

    data: bytes = b""
    etag: str = ""  # '' for an object that is absent
    writer: str = ""  # what `put` was told
    age_s: float = 0.0  # by the store's clock, whole seconds


@dataclass(frozen=True, slots=True)
class Standing:
    """What an object is at the moment, without its content."""

    size: int  # bytes
    etag: str
    version: str  # '' where the bucket keeps none


class Clients:
    """One client a process: a fork must not talk over its parent's connections."""

    def __init__(self, env: Mapping[str, str]) -> None:
        core = botocore.session.get_session()
        # boto3's own parser takes 0.1 ms a key of a listing, five times all that is left.
        core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_time)
        self._session = boto3.session.Session(botocore_session=core)
        self._region = env.get("AWS_REGION") or self._session.region_name
        self._config = Config(
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            retries={"mode": "standard", "total_max_attempts": TRIES},
            s3=_addressing(env, core.get_scoped_config()),
        )
        self._made: tuple[int, Any] = (0, None)
        self._making = threading.Lock()  # a session makes one client at a time

    def mine(self) -> Any:
        """Return this process' client, which its threads may share."""
        if self._made[0] != os.getpid():
            with self._making:
                client = self._session.client("s3", region_name=self._region, config=self._config)
                self._made = (os.getpid(), client)
        return self._made[1]


@functools.lru_cache(maxsize=4)
def _clients(settings: frozenset[tuple[str, str]]) -> Clients:
    return Clients(dict(settings))  # dear to make, and kept for every fork of this process


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket by name; a store that is away is asked again for `patience_s`.

    What it will not do raises Refused, and StoreLost where it stays away.
    """

    name: str
    clients: Clients
    patience_s: float

    @classmethod
    def reach(cls, name: str, *, env: Mapping[str, str], patience_s: float) -> Bucket:
        """Make the first contact's client.

        Raises BadInput for a name that no bucket can have, or a configuration that is no good.
        """
        if not NAME.fullmatch(name):
            raise BadInput(f"store s3://{name}: '{name}' is no name of a bucket; write s3://BUCKET")
        try:
            settings = frozenset(pair for pair in env.items() if pair[0].startswith("AWS_"))
            bucket = cls(name, _clients(settings), patience_s)
            bucket.clients.mine()
        except (BotoCoreError, ValueError) as error:
            raise BadInput(
                f"store s3://{name}: {_one_line(error)}; see the AWS_ variables"
            ) from None
        return bucket

    def impatient(self, patience_s: float = 0.0) -> Bucket:
        """Return the same bucket, asked again for a shorter time."""
        return replace(self, patience_s=min(patience_s, self.patience_s))

    def get(self, key: str, start: int = 0) -> Found:
        """Return an object from `start` on; KeyError where it is absent."""
        arguments = {"Range": f"bytes={start}-"} if start else {}

        def request() -> Found:
            try:
                answer = self.clients.mine().get_object(Bucket=self.name, Key=key, **arguments)
            except ClientError as error:
                if _status(error) == BEYOND:
                    return Found()
                raise
            with answer["Body"] as body:
                return Found(body.read(), answer["ETag"], _writer(answer), _age_s(answer))

        return self._patiently(request, key)

    def look(self, key: str) -> Standing:
        """Say what an object is; KeyError where it is absent."""

        def request() -> Standing:
            try:
                answer = self.clients.mine().head_object(Bucket=self.name, Key=key)
            except ClientError as error:
                if _status(error) == ABSENT:  # an answer without a body, and so without a code
                    raise KeyError(key) from None
                raise
            version = str(answer.get("VersionId") or "")
            return Standing(answer["ContentLength"], str(answer["ETag"]), version)

        return self._patiently(request, key)

    def save(self, key: str, target: Path, *, of: Standing) -> None:
        """Write an object's content to a file; Changed where it is another one by now."""
        which = {"VersionId": of.version} if of.version else {"IfMatch": of.etag}

        def request() -> None:
            answer = self.clients.mine().get_object(Bucket=self.name, Key=key, **which)
            with closing(answer["Body"]) as body, target.open("wb") as file:
                for chunk in body.iter_chunks(CHUNK):
                    file.write(chunk)

        self._patiently(request, key)

    def put(self, key: str, data: bytes, *, writer: str = "", over: Found | None = None) -> str:
        """Write an object, and return its ETag.

        Given `over`, only where the object is that still; raises Changed where it is not.
        """
        arguments: dict[str, Any] = {"Metadata": {WRITER: writer}} if writer else {}
        if over is not None:
            arguments |= {"IfMatch": over.etag} if over.etag else {"IfNoneMatch": "*"}

        def request() -> str:
            answer = self.clients.mine().put_object(
                Bucket=self.name, Key=key, Body=data, **arguments
            )
            etag: str = answer["ETag"]
            return etag

        try:
            return self._patiently(request, key)
        except KeyError:  # some answer so where If-Match finds nothing
            raise Changed(key) from None

    def delete(self, key: str) -> None:
        """Remove an object; one that is absent already is no error."""
        self._patiently(lambda: self.clients.mine().delete_object(Bucket=self.name, Key=key), key)

    def pages(self, prefix: str, **arguments: Any) -> Iterator[Mapping[str, Any]]:
        """List what begins with a prefix, a page at a time."""
        arguments |= {"Bucket": self.name, "Prefix": prefix}
        while True:
            page = self._patiently(lambda: self.clients.mine().list_objects_v2(**arguments), prefix)
            yield page
            if not page.get("IsTruncated"):
                return
            arguments["ContinuationToken"] = page["NextContinuationToken"]

    def _patiently(self, request: Callable[[], T], key: str) -> T:
        retrying = Retrying(
            retry=retry_if_exception(_passing),
            stop=stop_after_delay(self.patience_s),
            wait=wait_random_exponential(multiplier=0.1, max=LONGEST_WAIT_S),
            before_sleep=self._tell,
            reraise=True,
        )
        try:
            return retrying(request)
        except ClientError as error:
            if _status(error) == 412:
                raise Changed(key) from None
            if _code(error) == "NoSuchKey":
                raise KeyError(key) from None
            raise self._lost(error) from error
        except (BotoCoreError, ResponseParserError) as error:
            raise self._lost(error) from error

    def _tell(self, state: RetryCallState) -> None:
        if state.attempt_number == 2 and state.outcome is not None:
            error = state.outcome.exception()
            patience_s = self.patience_s
            log.warning("%s: %s; waiting up to %.0f s", self, _one_line(error), patience_s)

    def _lost(self, error: Exception) -> StoreLost:
        if _passing(error):
            return StoreLost(
                f"{self} did not answer for {self.patience_s:.0f} s ({_one_line(error)}); "
                "bring it back, then resume the study"
            )
        return Refused(f"{self}: {_reason(error)}")

    def __str__(self) -> str:
        return f"store s3://{self.name} at {self.clients.mine().meta.endpoint_url}"


def _addressing(env: Mapping[str, str], config: Mapping[str, Any]) -> dict[str, str] | None:
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    own = any(env.get(name) for name in names) or "endpoint_url" in config
    if own and "addressing_style" not in config.get("s3", {}):
        return {"addressing_style": "path"}  # one's own server has no host name a bucket
    return None


def _time(value: Any) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):  # other forms are for headers
        parsed: datetime = parse_timestamp(value)
        return parsed


def _passing(error: BaseException) -> bool:
    if isinstance(error, ClientError):
        status = _status(error)
        return status in BUSY or (status >= 500 and status != FULL) or _code(error) == "SlowDown"
    if isinstance(error, SSLError):
        return False
    return isinstance(
        error, ConnectionError | HTTPClientError | IncompleteReadError | ResponseParserError
    )


def _reason(error: Exception) -> str:
    if isinstance(error, NoCredentialsError):
        return "no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    if not isinstance(error, ClientError):
        return f"{_one_line(error)}; see the AWS_ variables"
    if _status(error) == FULL:
        return "it is full; free space, then resume the study"
    code = _code(error)
    other = f"it refuses {error.operation_name} ({code}: {error.response['Error'].get('Message')})"
    return REFUSALS.get(code, other)


def _one_line(error: BaseException | None) -> str:
    if isinstance(error, ClientError):
        return f"{_code(error)}, HTTP {_status(error)}"
    cause = getattr(error, "kwargs", {}).get("error", error)  # without the request's address
    text = str(cause).partition("): ")[2] or str(cause)
    return " ".join(f"{type(cause).__name__}: {text}".split())


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "without a code"))


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _writer(answer: Mapping[str, Any]) -> str:
    return str(answer.get("Metadata", {}).get(WRITER, ""))


def _age_s(answer: Mapping[str, Any]) -> float:
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = parsedate_to_datetime(date) if date else datetime.now(UTC)
    age_s: float = (now - answer.get("LastModified", now)).total_seconds()
    return max(age_s, 0.0)
