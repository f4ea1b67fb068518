"""Bring a study to its end: crown the winner, publish, sum up."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from rich.console import Console

from sweep.clock import CLOCK
from sweep.plan import layout
from sweep.plan.application import Application, Scores
from sweep.plan.budget import Spent
from sweep.report.baselines import read_baselines
from sweep.report.html import can_write
from sweep.report.leaderboard import Leaderboard
from sweep.report.results import Results
from sweep.report.rolled import Rolled, read_rolled
from sweep.report.summary import Summary, headline, render, summarize
from sweep.study.crowning import Elsewhere, crown, known_winner
from sweep.study.publishing import Shown, end_of, publish_study
from sweep.study.scoring import Crowned, read_joined, read_versus
from sweep.study.searching import read_search, read_story
from sweep.study.spending import Meter
from sweep.study.studied import Studied
from sweep.study.writing import contents_of, report_address, write_report


def finish(
    state: Studied,
    *,
    application: Application | None,
    problems: Mapping[int, str],
    console: Console,
    elsewhere: Elsewhere | None = None,
) -> None:
    """Score the winner on the test part, publish everything, print the summary.

    `elsewhere` may score it where torch is imported already.
    """
    board = state.board()
    crowned: list[Crowned] = []
    if board.best and application:
        crowned = crown(
            state, board.best, application=application, elsewhere=elsewhere, console=console
        )
    report = summarize(results_of(state, board, crowned), title=f"study {state.study.name}")
    ranked = bool(state.study.facts.get("ranked"))

    def attach(links: Sequence[str]) -> Mapping[str, str]:
        return tracked_files(state, report, links) if ranked else {}

    shown = publish_study(state, report, end=end_of(state), crowned=crowned, attach=attach)
    for pack, why in problems.items():
        console.print(f"pack {pack} was given up: {why}", soft_wrap=True)
    console.print(render(report) if ranked else headline(report.results))
    page = [f"report:  {report_address(state)}"] if ranked and can_write() else []
    where = f"records: {state.place.url.removeprefix('file://')}"
    for line in (*shown.lines, *page, where):
        console.print(line, soft_wrap=True, markup=False)  # addresses stay whole, to be copied


def publish(state: Studied, *, running: bool) -> Shown:
    """Write what MLflow lacks of a study, from the store alone.

    `running` says that a conductor follows the study: its runs are left open.
    """
    report = report_of(state)
    crowned = kept_winner(state, report.results.board)
    return publish_study(
        state,
        report,
        end="RUNNING" if running else end_of(state),
        crowned=crowned,
        attach=lambda links: tracked_files(state, report, links),
    )


def tracked_files(state: Studied, report: Summary, links: Sequence[str]) -> dict[str, str]:
    """Write the report into the store; return the files of it that tracking keeps too."""
    return write_report(state, contents_of(state, report, links=links))


def report_of(state: Studied) -> Summary:
    """Sum up a study from its store; nothing is trained or scored for it."""
    board = state.board()
    results = results_of(state, board, kept_winner(state, board))
    return summarize(results, title=f"study {state.study.name}")


def kept_winner(state: Studied, board: Leaderboard) -> list[Crowned]:
    """Read back the winner's test scores and models, where they were kept."""
    return (known_winner(state, board.best) if board.best else None) or []


def give_up(state: Studied) -> None:
    """Close the study's runs in MLflow after its client was interrupted."""
    publish_study(state, report_of(state), end="KILLED")


def results_of(state: Studied, board: Leaderboard, crowned: Sequence[Crowned]) -> Results:
    """Put the leaderboard, baselines, the winner's test scores and the search together."""
    search = read_search(state.place)
    return Results(
        board=board,
        records=state.records,
        baselines=read_baselines(_baselines(state), board=board),
        test={item.seed: item.winner.metrics[board.test] for item in crowned},
        together=_together(state, board, crowned),
        versus=read_versus(state.place) if crowned else {},
        seed=state.study.seed,
        spent=spent_on(state),
        strategy=search.strategy if search else _unnamed_strategy(state),
        notes=tuple(map(str, state.study.facts.get("notes") or ())),
        story=read_story(state.place, trials=len(state.trials)) if search else None,
        ladders=state.ladders,
        rolled=_rolled(state),
    )


def _unnamed_strategy(state: Studied) -> str:
    """Tell a grid from what another sweeper asked for batch after batch."""
    first = {key: set(map(repr, own)) for key, own in state.study.grid.items()}
    first.pop(state.study.seed, None)  # fresh seeds confirm the best of a grid too
    later = any(
        repr(value) not in first[key]
        for trial in state.trials
        for key, value in trial.values.items()
        if key in first
    )
    return "another sweeper" if later else "grid"


def _together(
    state: Studied, board: Leaderboard, crowned: Sequence[Crowned]
) -> tuple[int, float] | None:
    joined, known = read_joined(state.place), {item.trial for item in crowned}
    if joined is None or board.test not in joined.metrics or not known.issuperset(joined.trials):
        return None
    return len(joined.trials), joined.metrics[board.test]


def spent_on(state: Studied) -> Spent:
    """Add up what all attempts held, and keep the sums of those that are over."""
    meter = Meter(state.place)
    found = meter.spent(state.reader.ledger, now=CLOCK.now())
    meter.keep()
    return found


def _rolled(state: Studied) -> Rolled | None:
    try:
        return read_rolled(state.place.read(layout.BACKTEST))
    except KeyError:
        return None


def _baselines(state: Studied) -> Scores:
    try:
        scores: Scores = json.loads(state.place.read(layout.BASELINES))
    except (KeyError, ValueError):
        return {}
    return scores
