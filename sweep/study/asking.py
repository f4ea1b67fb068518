"""Ask a cluster whether a round still runs there."""

from __future__ import annotations

from collections.abc import Mapping

from sweep.errors import SweepError
from sweep.plan import diagnosis
from sweep.plan.manifest import job_name
from sweep.plan.round import Round
from sweep.study.siting import KUBERNETES, known_context

ANSWER_S = 5.0


def runs(study: str, round_: Round, *, context: str | None = None) -> bool | None:
    """Tell whether a round's Job is under way; None where nobody can be asked."""
    note: Mapping[str, str | None] = round_.cluster
    if note.get("kind") != KUBERNETES:
        return False
    from sweep.cluster.api import Away, Refused, open_api
    from sweep.cluster.kubernetes import JOBS

    try:
        api = open_api(
            context=context or known_context(note.get("context")), namespace=note.get("namespace")
        )
        job = api.get(f"{JOBS}/{job_name(study, round_.number)}", timeout_s=ANSWER_S)
    except Refused as error:
        return False if error.status == 404 else None
    except (Away, SweepError):
        return None
    return diagnosis.finished(job) is None and not job["spec"].get("suspend")
