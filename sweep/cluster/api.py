"""Speak JSON with one namespace of a Kubernetes API server."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import BadInput

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

log = logging.getLogger(__name__)

Body = dict[str, Any]

CONNECT_S, READ_S = 5.0, 30.0
WATCH_S = 240  # a watch ends by itself after so long, and is begun anew
QUIET_S = 90.0  # bookmarks come about once a minute: a longer silence is a dead line
OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
JSON, MERGE = "application/json", "application/merge-patch+json"


class Refused(Exception):
    """The API server answered, and said no."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        self.status, self.reason = status, reason
        super().__init__(message)


class Away(Exception):
    """The API server did not answer, or is not itself at the moment."""


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    query: Mapping[str, Any]
    body: Mapping[str, Any] | None = None
    content: str = ""  # type of the body
    timeout_s: float = READ_S


@dataclass(frozen=True, slots=True)
class Api:
    """One namespace; paths are relative to it where they do not begin with '/'."""

    client: ApiClient
    namespace: str
    where: str  # for people: which cluster this is

    def get(self, path: str, *, timeout_s: float = READ_S, **query: str | int | bool) -> Body:
        """Read one object, or a list of them.

        Raises Refused and Away, as all methods here do.
        """
        return self._json(_Request("GET", path, query, timeout_s=timeout_s))

    def create(self, path: str, body: Mapping[str, Any], *, dry: bool = False) -> Body:
        """Create an object; `dry` only asks whether the server would take it."""
        query = {"dryRun": "All"} if dry else {}
        return self._json(_Request("POST", path, query, body, JSON))

    def patch(self, path: str, body: Mapping[str, Any]) -> Body:
        """Merge a part into an object."""
        return self._json(_Request("PATCH", path, {}, body, MERGE))

    def delete(self, path: str, *, propagation: str = "Foreground") -> None:
        """Delete an object and what depends on it; one that is gone already is no error."""
        try:
            self._json(_Request("DELETE", path, {"propagationPolicy": propagation}))
        except Refused as error:
            if error.status != 404:
                raise

    def list(self, path: str, *, selector: str = "", **query: str) -> tuple[list[Body], str]:
        """Read all objects of a kind, page by page, with the version to watch from."""
        found: list[Body] = []
        page = ""
        while True:
            asked: dict[str, Any] = {"limit": 500, "labelSelector": selector, **query}
            if page:
                asked["continue"] = page
            body = self.get(path, **asked)
            found.extend(body.get("items", []))
            page = body["metadata"].get("continue", "")
            if not page:
                return found, body["metadata"]["resourceVersion"]

    def watch(
        self, path: str, *, version: str, selector: str = "", **query: str
    ) -> Iterator[tuple[str, Body]]:
        """Yield (type, object) as things change, bookmarks included, until the server ends it.

        Raises Refused with status 410 where `version` is too old: list anew.
        """
        asked: dict[str, Any] = {
            "watch": True,
            "resourceVersion": version,
            "allowWatchBookmarks": True,
            "timeoutSeconds": WATCH_S,
            "labelSelector": selector,
            **query,
        }
        for line in self.lines(path, timeout_s=QUIET_S, **asked):
            event = json.loads(line)
            kind, body = event["type"], event["object"]
            if kind == "ERROR":
                raise Refused(
                    int(body.get("code", 500)), body.get("reason", ""), body.get("message", "")
                )
            yield kind, body

    def lines(self, path: str, *, timeout_s: float, **query: str | int | bool) -> Iterator[bytes]:
        """Yield the lines of an answer as they come: a watch, or a pod's log."""
        from urllib3.exceptions import HTTPError

        response = self._ask(_Request("GET", path, query, timeout_s=timeout_s))
        try:
            unread = b""
            for chunk in response.response.stream(1 << 16, decode_content=True):
                *whole, unread = (unread + chunk).split(b"\n")
                yield from whole
            if unread:
                yield unread
        except (HTTPError, OSError) as error:
            raise Away(f"{self.where}: the connection broke ({type(error).__name__})") from error
        finally:
            response.response.close()

    def _json(self, request: _Request) -> Body:
        from urllib3.exceptions import HTTPError

        try:
            data: bytes = self._ask(request).read()
        except (HTTPError, OSError) as error:
            raise Away(f"{self.where}: the answer broke off ({type(error).__name__})") from error
        found = json.loads(data)
        assert isinstance(found, dict)
        return found

    def _ask(self, asked: _Request) -> Any:
        from urllib3.exceptions import HTTPError

        # Untyped on purpose: the typed models cost a second of import and reject unknown fields.
        words = [(key, _word(value)) for key, value in asked.query.items() if value != ""]
        headers = {"Accept": JSON}
        if asked.content:
            headers["Content-Type"] = asked.content
        request = self.client.param_serialize(
            asked.method,
            self._path(asked.path),
            query_params=words,
            header_params=headers,
            body=asked.body,
            auth_settings=["BearerToken"],
        )
        try:
            response = self.client.call_api(*request, _request_timeout=(CONNECT_S, asked.timeout_s))
            if response.status >= 400:
                raise _refusal(response.status, response.read(), self.where)
        except (HTTPError, OSError) as error:
            raise Away(f"{self.where} does not answer ({_why(error)})") from error
        return response

    def _path(self, path: str) -> str:
        if path.startswith("/"):
            return path
        group, _, rest = path.partition("/")
        root = "/api/v1" if group == "v1" else f"/apis/{group.replace('_', '/')}"
        return f"{root}/namespaces/{self.namespace}/{rest}"


def open_api(*, context: str | None = None, namespace: str | None = None) -> Api:
    """Open the cluster of this pod, of the kubeconfig's context, or of the one that is named.

    Raises BadInput where there is none, or the client library is missing.
    """
    try:
        from kubernetes import client, config
        from kubernetes.config.config_exception import ConfigException
    except ModuleNotFoundError:
        raise BadInput(
            "hydra.launcher.cluster=kubernetes needs the Kubernetes client; "
            "pip install 'hydra-kubernetes-sweep[cluster]'"
        ) from None
    settings = client.Configuration()
    try:
        if context is None and in_pod():
            config.load_incluster_config(client_configuration=settings)
            own, where = OWN_NAMESPACE.read_text().strip(), "this pod's cluster"
        else:
            contexts, current = config.list_kube_config_contexts()
            chosen = _chosen(contexts, current, context)
            config.load_kube_config(context=chosen["name"], client_configuration=settings)
            own = chosen["context"].get("namespace") or "default"
            where = f"context {chosen['name']}"
    except (ConfigException, OSError) as error:
        raise BadInput(f"no Kubernetes cluster is configured here: {error}") from None
    settings.retries = 0  # ours to decide: a follower begins anew, a submission is repeated
    return Api(client.ApiClient(settings), namespace or own, where)


def import_client() -> None:
    """Import the client library, where it is installed."""
    with suppress(ModuleNotFoundError):
        from kubernetes import client, config  # noqa: F401


def contexts() -> list[str]:
    """Name the kubeconfig's contexts; none where there is no kubeconfig."""
    from kubernetes import config
    from kubernetes.config.config_exception import ConfigException

    try:
        found, _ = config.list_kube_config_contexts()
    except (ConfigException, OSError):
        return []
    return [entry["name"] for entry in found]


def in_pod() -> bool:
    """Tell whether this process runs in a pod that may speak with its API server."""
    return "KUBERNETES_SERVICE_HOST" in os.environ and OWN_NAMESPACE.exists()


def _chosen(contexts: list[Body], current: Body, wanted: str | None) -> Body:
    if wanted is None:
        return current
    for entry in contexts:
        if entry["name"] == wanted:
            return entry
    names = ", ".join(sorted(entry["name"] for entry in contexts))
    raise BadInput(f"hydra.launcher.context={wanted}: the kubeconfig has {names}")


def _refusal(status: int, data: bytes, where: str) -> Exception:
    try:
        body = json.loads(data)
        message, reason = str(body.get("message", "")), str(body.get("reason", ""))
    except ValueError:
        message, reason = data.decode(errors="replace")[:300], ""
    if status in (429, 500, 502, 503, 504):
        return Away(f"{where} answers {status} {reason or message}")
    return Refused(status, reason, message or f"answer {status}")


def _why(error: BaseException) -> str:
    inner = getattr(error, "reason", None)
    return type(inner if isinstance(inner, BaseException) else error).__name__


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
