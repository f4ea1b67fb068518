"""Start the workers of this machine while their plan is still being made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sweep.cluster import Cluster, Warm
from sweep.errors import SweepError
from sweep.plan.trial import Value
from sweep.study.siting import Site, choose_site, open_cluster


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a study runs, and what is open of it."""

    site: Site
    cluster: Cluster


def begin(options: Mapping[str, Value], *, env: Mapping[str, str], task: str) -> Ground | None:
    """Have a workers' parent import a task by its name; None where the study runs elsewhere.

    What is wrong with the options is told by who opens the study.
    """
    if options.get("code") == "bundle" or ".py:" in task:  # other code than what stands here
        return None
    try:
        site = choose_site(options, env=env)
    except SweepError:
        return None
    if site.settings is not None:
        return None
    cluster = open_cluster(site)
    if isinstance(cluster, Warm):
        cluster.expect(task)
    return Ground(site, cluster)
