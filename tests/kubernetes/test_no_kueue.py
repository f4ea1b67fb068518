"""In a cluster without Kueue nobody would start a Job that waits in a queue."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kubernetes import config
from testbed.bed import open_bed
from testbed.control import ControlPlane

from sweep.cluster import Work
from sweep.cluster.api import Api
from sweep.cluster.kubernetes import KubernetesCluster
from sweep.errors import BadInput
from sweep.plan.manifest import Body, JobSettings, PodSettings, job

pytestmark = [pytest.mark.kube, pytest.mark.slow]

WORK = Work(
    store="s3://bucket/studies",
    study="s",
    round=1,
    round_hash="0",
    packs=(0,),
    task="app:run",
    tracking="",
    code="",
    max_attempts=1,
)


def render(work: Work) -> Body:
    return job(
        JobSettings(
            namespace="default",
            study=work.study,
            round=work.round,
            round_hash=work.round_hash,
            packs=len(work.packs),
            parallelism=1,
            max_ends=1,
            pod=PodSettings(image="registry.example/sweep:1"),
            queue="team",
        )
    )


@pytest.fixture
def api() -> Iterator[Api]:
    """Open a control plane of this test's own: the session's may have Kueue by now."""
    bed = open_bed()
    own = ControlPlane(bed).start()
    with config.new_client_from_config(str(own.kubeconfig)) as client:
        yield Api(client, "default", "context bed")
    own.stop()
    bed.close()


@pytest.mark.usefixtures("control_plane")  # which skips where there can be none
def test_a_queue_is_refused_before_a_job_is_made(api: Api) -> None:
    cluster = KubernetesCluster(api, render)

    for ask in (cluster.check, cluster.submit):
        with pytest.raises(BadInput, match=r"queue=team: context bed has no Kueue"):
            ask(WORK)

    assert api.list("batch_v1/jobs")[0] == []
