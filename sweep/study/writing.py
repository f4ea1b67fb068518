"""Write a study's report into its store."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from sweep.errors import UnknownName
from sweep.plan import layout
from sweep.plan.round import study_to_bytes
from sweep.report.background import Background
from sweep.report.contents import Contents
from sweep.report.export import csv_text
from sweep.report.html import can_write, html
from sweep.report.markdown import markdown
from sweep.report.results import Results
from sweep.report.structure import json_text
from sweep.report.summary import Summary
from sweep.study.repeating import study_command, trial_command
from sweep.study.searching import read_search
from sweep.study.studied import Studied

# Where a format stands in the store, and how it is written.
FORMATS: Mapping[str, tuple[str, Callable[[Contents], str]]] = {
    "html": (layout.REPORT, html),
    "md": (layout.REPORT_MARKDOWN, markdown),
    "json": (layout.REPORT_JSON, json_text),
    "csv": (layout.LEADERBOARD, lambda contents: csv_text(contents.summary.results)),
}


def write_report(state: Studied, contents: Contents) -> dict[str, str]:
    """Write every format into the store; return the texts by the last part of their keys.

    The page is left out where jinja2 is not installed.
    """
    written = {}
    for name, (key, write) in FORMATS.items():
        if name != "html" or can_write():
            text = write(contents)
            state.place.write(key, text.encode())
            written[key.rpartition("/")[2]] = text
    return written


def report_text(contents: Contents, name: str) -> str:
    """Write one format; nothing is stored.

    Raises BadInput for a format that does not exist, and where jinja2 is not installed.
    """
    if name not in FORMATS:
        raise UnknownName("--format", name, FORMATS)
    _, write = FORMATS[name]
    return write(contents)


def contents_of(state: Studied, summary: Summary, *, links: Sequence[str] = ()) -> Contents:
    """Gather all that a report tells."""
    return Contents(summary, _background(state, summary, links))


def report_address(state: Studied) -> str:
    """Say where the report lies: a path, or an address of the store."""
    return f"{state.place.url.removeprefix('file://')}/{layout.REPORT}"


def _background(state: Studied, summary: Summary, links: Sequence[str]) -> Background:
    study, best = state.study, summary.results.board.best
    trials = {trial.number: trial for trial in state.trials}
    search = read_search(state.place)
    winner = trial_command(study, trials[best.trials[0]], bases=state.bases) if best else ""
    return Background(
        study=study.name,
        created=study.created,
        command=study_command(study),
        winner=winner,
        facts={**_searched(summary.results), **_facts(state)},
        grid=summary.results.board.varied if search else study.grid,
        links=[*links, f"Records: {state.place.url.removeprefix('file://')}"],
    )


def _facts(state: Studied) -> dict[str, str]:
    study, facts = state.study, state.study.facts
    data = [f"{name}, sha256 {digest}" for name, digest in dict(facts.get("data", {})).items()]
    versions = [f"{name} {number}" for name, number in dict(facts.get("versions", {})).items()]
    devices = sorted({record.device for record in state.records.values()})
    bundle = dict(facts.get("code") or {}).get("bundle")
    commit = str(facts.get("git", "")).removesuffix("+")
    changed = (
        " with changes that were not committed" if str(facts.get("git", ""))[-1:] == "+" else ""
    )
    found = {
        "task": study.task,
        "data": "; ".join(data),
        "commit": commit and commit + changed,
        "code": f"bundle, sha256 {bundle}" if bundle else "",
        "plan": f"study.json, sha256 {json.loads(study_to_bytes(study))['hash']}",
        "versions": ", ".join(versions),
        "trained elsewhere": _other_versions(state),
        "device": ", ".join(devices),
        "machine": " ".join(str(facts[key]) for key in ("host", "machine") if facts.get(key)),
        "directory": study.directory,
    }
    return {name: fact for name, fact in found.items() if fact}


def _searched(results: Results) -> dict[str, str]:
    """Tell what chose the trials, and why it chose no more."""
    why = results.story.ended if results.story else ""
    return {"strategy": f"{results.strategy}; {why}" if why else results.strategy}


def _other_versions(state: Studied) -> str:
    """Tell how many trials were trained with versions that are not the client's."""
    own = dict(state.study.facts.get("versions", {}))
    others: Counter[str] = Counter()
    for record in state.records.values():
        if other := {k: v for k, v in record.versions.items() if own.get(k, v) != v}:
            others[", ".join(f"{name} {number}" for name, number in other.items())] += 1
    return "; ".join(f"{number:,} with {which}" for which, number in others.items())
