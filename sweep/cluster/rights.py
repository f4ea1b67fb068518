"""Ask a cluster what this client may do there."""

from __future__ import annotations

from sweep.cluster.api import Api

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

# What the launcher asks for: API group, resource, verbs. k8s/role.yaml grants exactly this.
NEEDED = (
    ("batch", "jobs", ("get", "list", "watch", "create", "patch", "delete")),
    ("", "pods", ("list", "watch")),
    ("", "events", ("list", "watch")),
    ("", "pods/log", ("get",)),
)


def missing_rights(api: Api) -> list[str]:
    """Name what the launcher needs and may not do, such as 'create jobs'.

    Raises Refused, Away.
    """
    return [
        f"{verb} {resource}"
        for group, resource, verbs in NEEDED
        for verb in verbs
        if not _allowed(api, group=group, resource=resource, verb=verb)
    ]


def _allowed(api: Api, *, group: str, resource: str, verb: str) -> bool:
    name, _, part = resource.partition("/")
    asked = {
        "namespace": api.namespace,
        "group": group,
        "resource": name,
        "subresource": part,
        "verb": verb,
    }
    answer = api.create(REVIEWS, {"spec": {"resourceAttributes": asked}})
    return bool(answer.get("status", {}).get("allowed"))
