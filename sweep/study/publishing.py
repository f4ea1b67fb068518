"""Bring MLflow up to date with what the store says of a study."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal

from sweep.plan import layout
from sweep.plan.trial import State
from sweep.report.export import csv_text
from sweep.report.leaderboard import Configuration, result_of
from sweep.report.markdown import NOTE_LIMIT, note
from sweep.report.summary import Summary as Report
from sweep.study.champions import card_of
from sweep.study.scoring import Crowned, read_joined
from sweep.study.showing import (
    Cast,
    cast_of,
    opened_again,
    opened_at,
    shown_trials,
    study_info,
    tracker_of,
)
from sweep.study.studied import Studied, purposes_of
from sweep.tracking.address import is_server, opening, page
from sweep.tracking.info import StudyInfo, Summary
from sweep.tracking.view import charts_path

if TYPE_CHECKING:
    from sweep.tracking.server import Tracker

Attach = Callable[[Sequence[str]], Mapping[str, str]]
LOCAL = "http://127.0.0.1:5000"  # where `mlflow ui` serves
log = logging.getLogger(__name__)

End = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True, slots=True)
class Shown:
    """What MLflow shows now."""

    lines: Sequence[str]  # for a person: where to look, what is missing
    complete: bool


def publish_study(
    state: Studied,
    report: Report,
    *,
    end: End,
    crowned: Sequence[Crowned] = (),
    attach: Attach = lambda _: {},
) -> Shown:
    """Write parent run, trials, view and winner; what MLflow shows already is left as it is.

    `attach` makes further files of the parent run, and is given the lines that lead to MLflow. It
    is called once, even where the study is not tracked: then there are none.
    Never raises because MLflow is away: the lines say so, and the next call writes the rest.
    """
    from sweep.tracking.publish import publish
    from sweep.tracking.view import save_view

    tracker = tracker_of(state.study)
    if tracker is None:
        attach([])
        return Shown([], complete=True)
    info = study_info(state.study)
    board = report.results.board
    curves = sorted({name for r in state.records.values() for name in r.history if name != "lr"})
    trained = len({result_of(trial) for trial in state.trials})
    path = save_view(
        tracker,
        study=info,
        params=list(board.varied),
        curves=curves,
        trials=trained,
        confirmed=state.selection is not None,
    )
    files = attach(_lines(state, path, away=False, refused=0))
    own = _cast(state)
    done = publish(
        tracker,
        study=info,
        trials=[
            (own.info(number), state.records[number])
            for number in shown_trials(state.study, state.records)
        ],
        summary=_summary(state, report, end=end, path=path, files=files),
        over=end != "RUNNING",
    )
    if done.parent is not None:
        state.place.create(
            layout.PARENT_RUN, json.dumps({"id": done.parent, **state.study.tracking}).encode()
        )
        _log_winner(tracker, state, info, crowned=crowned, parent=done.parent, best=board.best)
    lines = _lines(state, path, away=done.away, refused=done.refused, why_locked=tracker.why_locked)
    return Shown(lines, done.complete)


def _cast(state: Studied) -> Cast:
    return cast_of(state.study, state.bases, state.trials, purposes=purposes_of(state.place))


def where_tracked(state: Studied) -> list[str]:
    """Tell how a person opens MLflow, without asking it."""
    return _lines(state, None, away=False, refused=0) if state.study.tracking.get("uri") else []


def _summary(
    state: Studied, report: Report, *, end: End, path: str | None, files: Mapping[str, str]
) -> Summary:
    board, results = report.results.board, report.results
    metrics: dict[str, float] = {
        f"trials_{kind.value.lower()}": float(count) for kind, count in board.counts.items()
    }
    if board.best is not None and board.best.mean is not None:
        metrics[f"best_{board.objective}"] = board.best.mean
    if results.test_mean is not None:
        metrics[f"best_{board.test}"] = results.test_mean
    for baseline in results.baselines:
        metrics[f"baseline_{baseline.name}"] = baseline.objective
    metrics["cpu_seconds"] = sum(record.cpu_seconds for record in state.records.values())
    metrics |= {f"spent_{name}": value for name, value in asdict(results.spent).items() if value}
    if results.taken:
        metrics["trials_reused"] = float(results.taken)
    link = ""
    if path:
        link = f"All trials: [table]({path}), [charts]({charts_path(path)})\n\n"
    done = [record.finished for record in state.records.values()]
    return Summary(
        state=end,
        at=max(done, default=time.time()),
        done=len(state.records),
        metrics=metrics,
        params={"trials": len(state.trials), "task": state.study.task},
        note=link + note(replace(report, links=()), limit=NOTE_LIMIT - len(link)),
        files={"leaderboard.csv": csv_text(results), **files},
    )


def get_ready_to_keep(state: Studied) -> None:
    """Import what keeping a winner as a model takes, long enough to be done beside its scoring."""
    if tracker_of(state.study) is None:
        return
    from sweep.tracking.model import import_ahead

    import_ahead(str(state.study.facts["loader"]))


def _log_winner(
    tracker: Tracker,
    state: Studied,
    info: StudyInfo,
    *,
    crowned: Sequence[Crowned],
    parent: str,
    best: Configuration | None,
) -> None:
    from sweep.tracking.model import WinnerInfo, log_winner

    if not crowned:
        return
    choose = max if state.study.direction == "maximize" else min
    first = choose(crowned, key=lambda item: state.records[item.trial].objective or 0.0)
    name = _cast(state).info(first.trial).name
    files, metrics = first.winner.model, first.winner.metrics
    loader = str(state.study.facts["loader"])
    joined = read_joined(state.place)
    members = [item for item in crowned if joined and item.trial in joined.trials]
    if joined and len(members) == len(joined.trials):
        loader, metrics = str(state.study.facts["together_loader"]), joined.metrics
        files = {
            f"trial-{item.trial:06d}/{file}": content
            for item in members
            for file, content in item.winner.model.items()
        }
    winner = WinnerInfo(
        name=name,
        files=files,
        loader=loader,
        example=first.winner.example,
        outputs=first.winner.outputs,
        metrics=metrics,
        register=state.study.tracking.get("register"),
        card=json.dumps(card_of(state, best)) if best else "",
    )
    try:
        log_winner(tracker, study=info, parent=parent, winner=winner)
    except Exception as error:  # noqa: BLE001  the application's loader may raise anything
        log.warning(
            "the winner of %s is not kept as a model: %s: %s",
            state.study.name,
            type(error).__name__,
            error,
        )


def _lines(
    state: Studied, path: str | None, *, away: bool, refused: int, why_locked: str = ""
) -> list[str]:
    uri = opened_at(str(state.study.tracking["uri"]))
    if away:
        later = f"`python -m sweep resume {state.study.name}` writes what it misses"
        why = f": {why_locked}" if why_locked else " did not answer"
        return [f"MLflow at {opening(uri)}{why}; nothing is lost: {later}"]
    lines = [f"MLflow refused {refused} trials; see the log"] if refused else []
    if not path:
        return [*lines, f"MLflow:  {opening(uri)}", *opened_again()]
    server = uri if is_server(uri) else LOCAL
    serve = [] if is_server(uri) else [f"MLflow:  {opening(uri)}"]
    return [
        *lines,
        *serve,
        f"table:   {page(server, path)}",
        f"charts:  {page(server, charts_path(path))}",
        *opened_again(),
    ]


def end_of(state: Studied) -> End:
    """Say how a study whose workers are gone has ended."""
    trained = [trial.number for trial in state.trials if trial.same_as is None]
    allowed = state.study.limits.get("max_failed") or 0
    failed = sum(record.state is State.FAILED for record in state.records.values())
    complete = all(number in state.records for number in trained)
    return "FINISHED" if complete and failed <= allowed else "FAILED"
