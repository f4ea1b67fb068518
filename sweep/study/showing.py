"""Describe a study to the tracking room, and keep MLflow up to date with the store."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from sweep.plan import layout
from sweep.plan.facets import Flat
from sweep.plan.round import Base, Study
from sweep.plan.trial import Record, Trial, Value
from sweep.schema import flatten
from sweep.store import Store
from sweep.tracking.address import default_uri, is_server, without_password
from sweep.tracking.database import is_database
from sweep.tracking.info import Purpose, StudyInfo, TrialInfo
from sweep.tracking.names import run_name

if TYPE_CHECKING:
    from sweep.tracking.server import Tracker

ENV = "MLFLOW_TRACKING_URI"
WAY_AGAIN = "SWEEP_TRACKING_WAY_AGAIN"  # the command that opens that way without this process
WAY = "SWEEP_TRACKING_WAY"  # "ADDRESS WAY": how this process reaches a server that pods know
PAGES = "SWEEP_TRACKING_PAGES"  # "ADDRESS PAGES": where people open a server that pods know
MANY = 5000  # trials above which MLflow shows the best 1,000 unless more are asked for


def choose_tracking(
    wanted: Mapping[str, Value], *, job: str, trials: int, env: Mapping[str, str], cwd: Path
) -> dict[str, Value]:
    """Decide where a study is tracked; empty where MLflow is not installed.

    A password is left out: whoever has it sets MLFLOW_TRACKING_URI. Raises BadInput for a kind of
    address that MLflow does not know.
    """
    if importlib.util.find_spec("mlflow") is None:
        return {}
    uri = default_uri(wanted.get("uri"), env=env, cwd=cwd)
    if not is_server(uri) and not is_database(uri):
        from sweep.tracking.server import open_tracker

        open_tracker(uri, experiment=job)
    return {
        "uri": without_password(uri),
        "experiment": wanted.get("experiment") or job,
        "register": wanted.get("register"),
        "ensemble": wanted.get("ensemble"),
        "children": wanted.get("children") or ("all" if trials <= MANY else "top:1000"),
    }


def tracker_of(study: Study) -> Tracker | None:
    """Open the tracker that a study names; None where it is not tracked.

    Raises BadInput where MLflow does not know that kind of address.
    """
    uri = study.tracking.get("uri")
    if not uri:
        return None
    from sweep.tracking.server import open_tracker

    theirs = os.environ.get(ENV, "")
    if theirs and without_password(theirs) == uri:
        uri = theirs
    return open_tracker(reached_at(uri), experiment=str(study.tracking["experiment"]))


def reached_at(uri: str) -> str:
    """Give the address by which this process reaches a server that pods know by another."""
    address, _, way = os.environ.get(WAY, "").partition(" ")
    return way if way and uri == address else uri


def opened_at(uri: str) -> str:
    """Give the address by which people open a server, where it is not the one of this process."""
    address, _, pages = os.environ.get(PAGES, "").partition(" ")
    return pages if pages and uri == address else reached_at(uri)


def opened_again() -> list[str]:
    """Say how to reach MLflow later, where the way there ends with this process."""
    command = os.environ.get(WAY_AGAIN)
    return [f"later:   {command}"] if command else []


def study_info(study: Study) -> StudyInfo:
    """Describe a study to MLflow."""
    facts = study.facts
    return StudyInfo(
        id=study.name,
        job=study.job,
        started=study.created,
        objective=study.objective,
        direction=cast(Literal["minimize", "maximize"], study.direction),
        user=str(facts.get("user", "")),
        git_sha=str(facts.get("git", "")),
        data_hash=",".join(f"{k}:{v}" for k, v in dict(facts.get("data", {})).items()),
        versions=dict(facts.get("versions", {})),
        grid=grid_text(study.grid),
    )


def grid_text(grid: Mapping[str, Sequence[Value]]) -> str:
    """Write a grid as YAML, one axis a line."""
    return "".join(f"{key}: {json.dumps(list(values))}\n" for key, values in grid.items())


@dataclass(frozen=True, slots=True)
class Cast:
    """The trials of a study as MLflow shows them."""

    study: Study
    trials: Mapping[int, Trial]
    flats: Sequence[Flat]  # the bases
    twins: Mapping[int, tuple[int, ...]]
    purposes: Mapping[int, Purpose]  # of those that were not trained to search

    def info(self, number: int) -> TrialInfo:
        """Describe one trial."""
        trial = self.trials[number]
        config = {**self.flats[trial.base], **trial.values}
        varied = {
            key: config[key]
            for key, values in self.study.grid.items()
            if len(values) > 1 and key in config
        }
        return TrialInfo(
            number=number,
            name=run_name(number, varied=varied, total=len(self.trials)),
            params={k: v for k, v in config.items() if v is not None},
            same=self.twins.get(number, ()),
            purpose=self.purposes.get(number, "search"),
        )


def cast_of(
    study: Study,
    bases: Sequence[Base],
    trials: Sequence[Trial],
    *,
    purposes: Mapping[int, Purpose],
) -> Cast:
    """Gather what MLflow shows of each trial."""
    twins: dict[int, list[int]] = {}
    for trial in trials:
        if trial.same_as is not None:
            twins.setdefault(trial.same_as, []).append(trial.number)
    return Cast(
        study=study,
        trials={trial.number: trial for trial in trials},
        flats=[flatten(base.config) for base in bases],
        twins={number: tuple(others) for number, others in twins.items()},
        purposes=purposes,
    )


def shown_trials(study: Study, records: Mapping[int, Record]) -> list[int]:
    """Choose the trials that MLflow shows, by tracking.children, in order of their numbers."""
    children = str(study.tracking.get("children") or "all")
    if children == "all":
        return sorted(records)
    if children == "none":
        return []
    sign = 1 if study.direction == "minimize" else -1
    scored = [n for n, record in records.items() if record.objective is not None]
    scored.sort(key=lambda n: (sign * (records[n].objective or 0.0), n))
    return sorted(scored[: int(children.partition(":")[2])])


def parent_run(store: Store) -> str | None:
    """Read the id of the parent run, once a conductor made it."""
    try:
        return str(json.loads(store.read(layout.PARENT_RUN))["id"])
    except (KeyError, ValueError):
        return None
