"""Keep a ready view of a study in MLflow: sorted table, parallel coordinates, curves.

MLflow's web pages keep a shared view as an experiment tag whose format is not documented. This is
the format of 3.17; where MLflow refuses the tag, the link leads to a plain sorted table instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from sweep.tracking.entry import CURVE, digest, millis, stamp, study_filter
from sweep.tracking.info import StudyInfo
from sweep.tracking.names import key
from sweep.tracking.server import Away, Refused, Tracker

PREFIX = "mlflow.sharedViewState."
OURS = "sweep-"
KEPT = 20  # views of an experiment; those of the oldest studies go
SECTION = "sweep"
WORKFLOW = "workflowType=machine_learning"  # a first visit would open MLflow's pages for agents


def save_view(
    tracker: Tracker, *, study: StudyInfo, params: Sequence[str], curves: Sequence[str]
) -> str | None:
    """Keep the view of a study and return the path of its page; None where MLflow is away.

    `params` are the varied settings, `curves` names in the records' history. The path begins
    with '#', so that it is also a link in a note.
    """
    name = OURS + digest([study.id, stamp(study.started)])
    state = view_state(study, params=params, curves=curves)
    at = millis(study.started)
    tag = {"name": study.id, "createdAt": at, "updatedAt": at, "state": json.dumps(state)}
    try:
        experiment = tracker.experiment_id
        try:
            tracker.label(PREFIX + name, json.dumps(tag))
            for old in stale_views(tracker.labels()):
                tracker.label(old, None)
        except Refused:
            return table_path(study, experiment=experiment)
        return view_path(experiment, name=name)
    except (Away, Refused):
        return None


def view_path(experiment: str, *, name: str) -> str:
    """Write the path of a kept view.

    A search or an order in this address would make MLflow ignore the view.
    """
    return f"#/experiments/{experiment}/runs?viewStateShareKey={name}&{WORKFLOW}"


def table_path(study: StudyInfo, *, experiment: str) -> str:
    """Write the path of a table of the study's trials, best first."""
    query = {
        "searchFilter": study_filter(study, role="trial"),
        "orderByKey": _metric(study.objective),
        "orderByAsc": "true" if _ascending(study) else "false",
    }
    return f"#/experiments/{experiment}/runs?{urlencode(query, quote_via=quote)}&{WORKFLOW}"


def view_state(
    study: StudyInfo, *, params: Sequence[str], curves: Sequence[str], charts: bool = True
) -> dict[str, Any]:
    """Write what MLflow's page of runs shows: which runs, columns, order and charts."""
    shown = [key(name) for name in params]
    charted = [_parallel(study, params=shown)] if shown else []
    charted += [_line(key(CURVE + name)) for name in curves]
    columns = [_metric(study.objective), "tags.`sweep.state`", *(f"params.`{p}`" for p in shown)]
    return {
        "searchFilter": study_filter(study, role="trial"),
        "orderByKey": _metric(study.objective),
        "orderByAsc": _ascending(study),
        "selectedColumns": columns,
        "compareRunCharts": charted,
        "compareRunSections": [
            {
                "uuid": SECTION,
                "name": study.id,
                "display": True,
                "isReordered": False,
                "deleted": False,
                "isGenerated": False,
            }
        ],
        "compareRunsMode": "CHART" if charts else "TABLE",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "groupBy": None,
        "viewMaximized": False,
        "runsExpanded": {},
        "runsHidden": [],
        "runsPinned": [],
        "isAccordionReordered": True,
    }


def stale_views(labels: Mapping[str, str]) -> list[str]:
    """Name the tags of our oldest views, beyond those that are kept; other people's stay."""
    ours = [name for name in labels if name.startswith(PREFIX + OURS)]
    ours.sort(key=lambda name: _created(labels[name]), reverse=True)
    return ours[KEPT:]


def _parallel(study: StudyInfo, *, params: Sequence[str]) -> dict[str, Any]:
    return {
        "uuid": "parallel",
        "type": "PARALLEL",
        "runsCountToCompare": 100,
        "selectedParams": list(params),
        "selectedMetrics": [key(study.objective)],
        "showAllRuns": True,
        **_PLACE,
    }


def _line(metric: str) -> dict[str, Any]:
    return {
        "uuid": f"line-{metric}",
        "type": "LINE",
        "runsCountToCompare": 30,
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "xAxisKey": "step",
        "scaleType": "linear",
        "xAxisScaleType": "linear",
        "selectedXAxisMetricKey": "",
        "lineSmoothness": 0,
        "xAxisSmoothing": 0,
        **_PLACE,
    }


_PLACE = {"metricSectionId": SECTION, "deleted": False, "isGenerated": False}


def _metric(name: str) -> str:
    return f"metrics.`{key(name)}`"


def _ascending(study: StudyInfo) -> bool:
    return study.direction == "minimize"


def _created(tag: str) -> float:
    try:
        return float(json.loads(tag)["createdAt"])
    except (ValueError, KeyError, TypeError):
        return 0.0
