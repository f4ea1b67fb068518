"""Reach a cluster that a person asked for, and its release."""

from __future__ import annotations

from sweep.cluster.api import Api, Away, Refused, open_api
from sweep.cluster.release import Release, read_release
from sweep.errors import BadInput, Unreachable


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
