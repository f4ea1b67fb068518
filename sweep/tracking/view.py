"""Keep a ready view of a study in MLflow: sorted table, parallel coordinates, curves.

MLflow's web pages keep a shared view as an experiment tag whose format is not documented. This is
the format of 3.17; where MLflow refuses the tag, the link leads to a plain sorted table instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from sweep.tracking.entry import CURVE, PURPOSE, digest, millis, stamp, study_filter
from sweep.tracking.failures import Away, Refused
from sweep.tracking.info import StudyInfo
from sweep.tracking.names import key
from sweep.tracking.server import Tracker

PREFIX = "mlflow.sharedViewState."
OURS = "sweep-"
KEPT = 20  # views of an experiment; those of the oldest studies go
MOST_CURVES = 30  # of one chart: more cannot be told apart
ALL = "all trials"
CURVES = CURVE.rstrip("/")  # MLflow names the section of a metric by what stands before its slash
WORKFLOW = "workflowType=machine_learning"  # a first visit would open MLflow's pages for agents


def save_view(
    tracker: Tracker,
    *,
    study: StudyInfo,
    params: Sequence[str],
    curves: Sequence[str],
    trials: int,
    confirmed: bool = False,
) -> str | None:
    """Keep the view of a study and return the path of its page; None where MLflow is away.

    `params` are the varied settings, `curves` names in the records' history, `trials` their
    number; `confirmed`, whether some were trained to confirm others, which a column then tells.
    The path begins with '#', so that it is also a link in a note.
    """
    name = OURS + digest([study.id, stamp(study.started)])
    state = view_state(study, params=params, curves=curves, trials=trials, confirmed=confirmed)
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


def charts_path(path: str) -> str:
    """Turn the path of a view, which opens as a table, into that of its charts."""
    return f"{path}&compareRunsMode=CHART"


def run_path(experiment: str, *, run: str) -> str:
    """Write the path of the page of one run."""
    return f"#/experiments/{experiment}/runs/{run}?{WORKFLOW}"


def view_path(experiment: str, *, name: str) -> str:
    """Write the path of a kept view.

    A search or an order in this address would make MLflow ignore the view.
    """
    return f"#/experiments/{experiment}/runs?viewStateShareKey={name}&{WORKFLOW}"


def table_path(study: StudyInfo, *, experiment: str) -> str:
    """Write the path of a table of the study's trials, best first."""
    query = {
        "searchFilter": _competing(study),
        "orderByKey": _metric(study.objective),
        "orderByAsc": "true" if _ascending(study) else "false",
    }
    return f"#/experiments/{experiment}/runs?{urlencode(query, quote_via=quote)}&{WORKFLOW}"


def view_state(
    study: StudyInfo,
    *,
    params: Sequence[str],
    curves: Sequence[str],
    trials: int,
    confirmed: bool = False,
) -> dict[str, Any]:
    """Write what MLflow's page of runs shows: which runs, columns, order and charts."""
    shown = [key(name) for name in params]
    charted = [_parallel(study, params=shown)] if shown else []
    charted += [_line(key(CURVE + name)) for name in curves]
    tags = ["sweep.state", *([PURPOSE] if confirmed else [])]
    columns = [_metric(study.objective), *(f"tags.`{tag}`" for tag in tags)]
    columns += [f"params.`{name}`" for name in shown]
    return {
        "searchFilter": _competing(study),
        "orderByKey": _metric(study.objective),
        "orderByAsc": _ascending(study),
        "selectedColumns": columns,
        "compareRunCharts": charted,
        "compareRunSections": [
            _section(ALL, columns=1),
            _section(CURVES, columns=2),
            # MLflow fills this one by itself with a bar for each result: folded
            _section("Model metrics", columns=3, display=False),
        ],
        "runsHiddenMode": "SHOW_ALL" if trials <= MOST_CURVES else "FIRST_20_RUNS",
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
        "metricSectionId": ALL,
        "deleted": False,
        "isGenerated": False,
    }


def _line(metric: str) -> dict[str, Any]:
    return {
        "uuid": f"line-{metric}",
        "type": "LINE",
        "runsCountToCompare": MOST_CURVES,
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "xAxisKey": "step",
        "scaleType": "linear",
        "xAxisScaleType": "linear",
        "selectedXAxisMetricKey": "",
        "lineSmoothness": 0,
        "xAxisSmoothing": 0,
        "metricSectionId": CURVES,
        "deleted": False,
        "isGenerated": False,
    }


def _section(name: str, *, columns: int, display: bool = True) -> dict[str, Any]:
    return {
        "uuid": name,
        "name": name,
        "columns": columns,
        "display": display,
        "isReordered": False,
        "deleted": False,
        "isGenerated": False,
    }


def _competing(study: StudyInfo) -> str:
    # MLflow cannot ask for runs without a tag, so every trial has this one.
    return f"{study_filter(study, role='trial')} and tags.`{PURPOSE}` != 'gate'"


def _metric(name: str) -> str:
    return f"metrics.`{key(name)}`"


def _ascending(study: StudyInfo) -> bool:
    return study.direction == "minimize"


def _created(tag: str) -> float:
    try:
        return float(json.loads(tag)["createdAt"])
    except (ValueError, KeyError, TypeError):
        return 0.0
