"""Write a study's report into its store."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.plan import layout
from sweep.report.background import Background
from sweep.report.contents import Contents
from sweep.report.export import csv_text
from sweep.report.html import can_write, html
from sweep.report.summary import Summary
from sweep.study.repeating import study_command, trial_command
from sweep.study.searching import read_search
from sweep.study.studied import Studied


def write_report(state: Studied, summary: Summary, *, links: Sequence[str] = ()) -> str:
    """Write report.html and leaderboard.csv into the store; return the former's text.

    Raises BadInput where jinja2 is not installed.
    """
    page = report_page(state, summary, links=links)
    state.place.write(layout.REPORT, page.encode())
    state.place.write(layout.LEADERBOARD, csv_text(summary.results).encode())
    return page


def report_files(state: Studied, summary: Summary, *, links: Sequence[str]) -> dict[str, str]:
    """Write the report where its libraries are installed; return what tracking keeps of it."""
    return {"report.html": write_report(state, summary, links=links)} if can_write() else {}


def report_page(state: Studied, summary: Summary, *, links: Sequence[str] = ()) -> str:
    """Draw the report as HTML; nothing is written.

    Raises BadInput where jinja2 is not installed.
    """
    return html(contents_of(state, summary, links=links))


def contents_of(state: Studied, summary: Summary, *, links: Sequence[str] = ()) -> Contents:
    """Gather all that a report tells."""
    return Contents(summary, _background(state, summary, links))


def report_address(state: Studied) -> str:
    """Say where the report lies: a path, or an address of the store."""
    return f"{state.place.url.removeprefix('file://')}/{layout.REPORT}"


def _background(state: Studied, summary: Summary, links: Sequence[str]) -> Background:
    study, best = state.study, summary.results.board.best
    trials = {trial.number: trial for trial in state.trials}
    winner = trial_command(study, trials[best.trials[0]], bases=state.bases) if best else ""
    return Background(
        study=study.name,
        created=study.created,
        command=study_command(study, search=read_search(state.place)),
        winner=winner,
        facts=_facts(state),
        grid=study.grid,
        links=[*links, f"Records: {state.place.url.removeprefix('file://')}"],
    )


def _facts(state: Studied) -> dict[str, str]:
    study, facts = state.study, state.study.facts
    data = [f"{name}, sha256 {digest}" for name, digest in dict(facts.get("data", {})).items()]
    versions = [f"{name} {number}" for name, number in dict(facts.get("versions", {})).items()]
    devices = sorted({record.device for record in state.records.values()})
    commit = str(facts.get("git", "")).removesuffix("+")
    changed = (
        " with changes that were not committed" if str(facts.get("git", ""))[-1:] == "+" else ""
    )
    found = {
        "task": study.task,
        "data": "; ".join(data),
        "commit": commit and commit + changed,
        "versions": ", ".join(versions),
        "device": ", ".join(devices),
        "machine": " ".join(str(facts[key]) for key in ("host", "machine") if facts.get(key)),
        "directory": study.directory,
    }
    return {name: fact for name, fact in found.items() if fact}
