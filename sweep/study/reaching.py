"""Reach a cluster that a person asked for, and what its release names."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from urllib.parse import urlsplit

from sweep.cluster.api import Api, Away, Refused, in_pod, open_api
from sweep.cluster.release import Release, look_for_release, read_release
from sweep.errors import BadInput, Unreachable
from sweep.store import Store, open_store
from sweep.study.showing import PAGES, WAY, WAY_AGAIN

S3_ENDPOINT, REGION = "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION"


def reach(*, context: str | None, namespace: str | None) -> tuple[Api, Release | None]:
    """Open the cluster and read its release, if its namespace has one that may be read.

    Raises BadInput where no cluster is configured, Unreachable where it does not answer.
    """
    api = open_api(context=context, namespace=namespace)
    try:
        return api, read_release(api)
    except Refused as error:
        if error.status == 403:
            return api, None  # everything may still be said by hydra.launcher's own settings
        raise BadInput(f"{api.where}, namespace {api.namespace}: {error}") from None
    except Away as error:
        raise Unreachable(f"{error}; is the cluster up, and the context the right one?") from None


def open_ways(
    release: Release,
    api: Api,
    env: MutableMapping[str, str] = os.environ,
    *,
    inside: bool | None = None,
) -> None:
    """Set what this process needs to reach store and MLflow; a person's own word stands.

    A client in a pod of the cluster takes the pods' addresses, and shows people theirs. Outside,
    where the release has no address for people, a port-forward leads to the pods' own, as long as
    this process lives. Raises BadInput where none can.
    """
    inside = in_pod() if inside is None else inside
    if release.store_region and not {REGION, "AWS_REGION"} & set(env):
        env[REGION] = release.store_region
    own = env.get(S3_ENDPOINT) or env.get("AWS_ENDPOINT_URL")
    endpoint = _address(
        release.store_for_people, release.store_for_pods, api, own=own, inside=inside
    )
    if endpoint:
        env[S3_ENDPOINT] = endpoint
    people, pods = release.tracking_for_people, release.tracking_for_pods
    tracking = _address(people, pods, api, own=None, inside=inside)
    if people and pods:
        env[PAGES] = f"{pods} {people}"
    elif pods and inside:
        with suppress(BadInput):  # no Service of this namespace: its address is as good for people
            env.update(_by_port_forward(pods, api))
    if tracking and pods:
        env[WAY] = f"{pods} {tracking}"
        if not people and not inside:
            from sweep.cluster.forwarding import again

            env[WAY_AGAIN] = again(api, pods, tracking)


def find_store(given: str | None, *, env: Mapping[str, str]) -> Store:
    """Open the store that is given, that of SWEEP_STORE, of a release at hand, or ./sweep-store.

    Raises BadInput, Unreachable.
    """
    address = given or env.get("SWEEP_STORE")
    if not address:
        found = look_for_release(env=env)
        if found.api is not None and found.release is not None and found.release.store:
            open_ways(found.release, found.api)
            address = found.release.store
    return open_store(address or "sweep-store")


def _by_port_forward(pods: str, api: Api) -> dict[str, str]:
    # For whoever reads a pod's log: the way that they open themselves.
    from sweep.cluster.forwarding import again

    parts = urlsplit(pods)
    theirs = parts._replace(netloc=f"127.0.0.1:{parts.port or 80}").geturl()
    return {WAY_AGAIN: again(api, pods, theirs), PAGES: f"{pods} {theirs}"}


def _address(people: str, pods: str, api: Api, *, own: str | None, inside: bool) -> str | None:
    if own or not (people or pods):
        return None
    if inside:
        return pods or people
    if people:
        return people
    from sweep.cluster.forwarding import forward

    try:
        return forward(api, pods)
    except Away as error:
        raise Unreachable(str(error)) from None
