"""Bring a study to its end: crown the winner, publish, sum up."""

from __future__ import annotations

import json
from collections.abc import Mapping

from rich.console import Console

from sweep.plan import layout
from sweep.plan.application import Application, Scores
from sweep.report.baselines import read_baselines
from sweep.report.results import Results
from sweep.report.summary import headline, render, summarize
from sweep.study.conducting import Studied
from sweep.study.crowning import Crowned, crown
from sweep.study.publishing import end_of, publish_study


def finish(
    state: Studied,
    *,
    application: Application | None,
    problems: Mapping[int, str],
    console: Console,
) -> None:
    """Score the winner on the test part, publish everything, print the summary."""
    board = state.board()
    best = board.best
    crowned: list[Crowned] = []
    if best and application:
        crowned = crown(state, best, application=application, console=console)
    results = Results(
        board=board,
        records=state.records,
        baselines=read_baselines(_baselines(state), board=board),
        test={item.seed: item.winner.metrics[board.test] for item in crowned},
        seed=state.study.seed,
    )
    title = f"study {state.study.name}"
    report = summarize(results, title=title)
    shown = publish_study(
        state,
        report,
        end=end_of(state),
        crowned=crowned,
        loader=application.loader if application else "",
    )
    for pack, why in problems.items():
        console.print(f"pack {pack} was given up: {why}", soft_wrap=True)
    where = f"records: {state.place.url.removeprefix('file://')}"
    console.print(render(report) if application or best else headline(board))
    for line in (*shown.lines, where):
        console.print(line, soft_wrap=True, markup=False)  # addresses stay whole, to be copied


def give_up(state: Studied) -> None:
    """Close the study's runs in MLflow after its client was interrupted."""
    results = Results(board=state.board(), records=state.records, seed=state.study.seed)
    report = summarize(results, title=f"study {state.study.name}, interrupted")
    publish_study(state, report, end="KILLED")


def _baselines(state: Studied) -> Scores:
    try:
        scores: Scores = json.loads(state.place.read(layout.BASELINES))
    except (KeyError, ValueError):
        return {}
    return scores
