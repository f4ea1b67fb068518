"""Describe a study, its trials and its outcome as MLflow needs to know them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sweep.plan.trial import Value

Purpose = Literal["search", "confirm", "gate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyInfo:
    """What is known of a study from its first day; `id` and `started` together name it.

    Two people may call their studies alike in one MLflow experiment: the time that stands in
    study.json tells them apart, so every process has to pass that one.
    """

    id: str
    job: str  # Hydra's job name
    started: float  # UTC seconds since 1970, from study.json
    objective: str  # name of the metric, as the columns of MLflow show it
    direction: Literal["minimize", "maximize"] = "minimize"
    user: str = ""
    git_sha: str = ""
    data_hash: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)  # further ones, on every run
    grid: str = ""  # YAML, kept as an artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialInfo:
    """What is known of a trial before it ran."""

    number: int
    name: str  # varied values only, see names.run_name
    params: Mapping[str, Value] = field(default_factory=dict)  # flat: dotted key to value
    same: tuple[int, ...] = ()  # numbers of the trials that point to this one
    purpose: Purpose = "search"  # what it was trained for
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a study has come to, for its parent run."""

    state: Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]
    at: float  # UTC seconds: the end, or the time of the newest record
    done: int  # trials with a terminal record; the step of the metrics
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, Value] = field(default_factory=dict)
    note: str = ""  # Markdown
    files: Mapping[str, str] = field(default_factory=dict)  # artifact path to text
