"""Read what the sweep release of a namespace offers."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sweep.cluster.api import Api, Away, Refused, import_client, in_pod, open_api
from sweep.errors import SweepError

NAME = "sweep-release"  # of the ConfigMap
ANSWER_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Where store and tracking are, for pods and for people, and what pods run."""

    image: str = ""
    queue: str = ""  # Kueue's LocalQueue
    store: str = ""  # s3://BUCKET/PREFIX
    store_secret: str = ""  # holds AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for pods
    store_region: str = ""
    store_for_pods: str = ""  # endpoint; empty: AWS itself
    store_for_people: str = ""  # endpoint; empty: by a port-forward, where pods have one
    tracking_for_pods: str = ""
    tracking_for_people: str = ""
    service_account: str = ""  # of the trainer's pods


# The ConfigMap's keys; people and charts write them.
KEYS = {
    "image": "image",
    "queue": "queue",
    "store": "store",
    "store.secret": "store_secret",
    "store.region": "store_region",
    "store.endpoint.pods": "store_for_pods",
    "store.endpoint.people": "store_for_people",
    "tracking.pods": "tracking_for_pods",
    "tracking.people": "tracking_for_people",
    "trainer.service-account": "service_account",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A cluster with or without a release, or why there is none."""

    api: Api | None
    release: Release | None
    why: str


def release_of(data: Mapping[str, str]) -> Release:
    """Read the ConfigMap's data; keys of a newer release are ignored."""
    return Release(**{KEYS[key]: value.strip() for key, value in data.items() if key in KEYS})


def read_release(api: Api, *, timeout_s: float = ANSWER_S) -> Release | None:
    """Read the namespace's release; None where there is none.

    Raises Refused where it may not be read, Away.
    """
    try:
        body = api.get(f"v1/configmaps/{NAME}", timeout_s=timeout_s)
    except Refused as error:
        if error.status == 404:
            return None
        raise
    return release_of(body.get("data") or {})


def look_for_release(
    *, context: str | None = None, namespace: str | None = None, env: Mapping[str, str]
) -> Found:
    """Look for a release within two seconds, asking nobody anything.

    A kubeconfig may run programs to log in: what they would ask is left unanswered.
    """
    if not configured(env):
        return Found(None, None, "no cluster is configured here")
    import_client()  # its second is not the cluster's
    found: list[Found] = []
    looking = threading.Thread(
        target=lambda: found.append(_look(context, namespace)), daemon=True, name="look for release"
    )
    # Where standard output is no terminal the client tells login programs not to ask.
    with contextlib.redirect_stdout(io.StringIO()):
        looking.start()
        looking.join(ANSWER_S)
    if not found:
        return Found(None, None, f"the cluster did not answer within {ANSWER_S:.0f} s")
    return found[0]


def _look(context: str | None, namespace: str | None) -> Found:
    try:
        api = open_api(context=context, namespace=namespace)
        release = read_release(api)
    except (Refused, Away) as error:
        return Found(None, None, str(error))
    except SweepError as error:
        return Found(None, None, str(error))
    if release is None:
        return Found(api, None, f"{api.where} has no sweep release in {api.namespace}")
    return Found(api, release, f"{api.where}, namespace {api.namespace}")


def configured(env: Mapping[str, str]) -> bool:
    """Tell whether anything here names a cluster; its client, a second's import, is not needed."""
    if in_pod() or env.get("KUBECONFIG"):
        return True
    return (Path.home() / ".kube" / "config").exists()
