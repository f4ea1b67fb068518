"""Write a report as JSON, numbers in full, for other programs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict

from sweep.plan.rungs import Ladder
from sweep.plan.trial import Value
from sweep.report.climbing import find_landings
from sweep.report.contents import Contents
from sweep.report.drawing.values import MOST
from sweep.report.isolation import has_effect
from sweep.report.leaderboard import Configuration
from sweep.report.results import Results
from sweep.report.rungs import Rung

FORMAT = 1


def json_text(contents: Contents) -> str:
    """Write all that a report tells as one JSON object; what is not finite becomes null."""
    found = _finite(structure(contents))
    return json.dumps(found, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"


def structure(contents: Contents) -> dict[str, Value]:
    """Give all that a report tells as JSON values."""
    summary, background = contents.summary, contents.background
    results = summary.results
    board = results.board
    return {
        "format": FORMAT,
        "study": background.study,
        "created": background.created,
        "objective": board.objective,
        "direction": board.direction,
        "test": {"name": board.test, "by_seed": [list(pair) for pair in results.test.items()]},
        "counts": {state.value: number for state, number in board.counts.items()},
        "twins": board.twins,
        "spent": asdict(results.spent),
        "configurations": [
            *(_configuration(rank, item, results) for rank, item in enumerate(board.ranked, 1)),
            *(_configuration(None, item, results) for item in board.unranked),
        ],
        "baselines": [asdict(item) for item in results.baselines],
        "selection": list(summary.selection),
        "warnings": [asdict(finding) for finding in summary.findings],
        "strategy": results.strategy,
        "story": asdict(results.story) if results.story else None,
        "importance": asdict(contents.importance),
        "values": [asdict(r) for r in summary.isolated if len(board.varied[r.key]) <= MOST],
        "fronts": {
            prices.measure: [
                {"rank": item.rank, "price": item.price, "score": item.score}
                for item in prices.front
            ]
            for prices in contents.prices
        },
        "rungs": [_rung(rung) for rung in contents.rungs],
        "ladders": [_ladder(ladder, results) for ladder in results.ladders],
        "backtest": asdict(results.rolled) if results.rolled else None,
        "not_completed": [asdict(reason) for reason in summary.reasons],
        "repeat": {"study": background.command, "winner": background.winner},
        "facts": dict(background.facts),
        "grid": {key: list(values) for key, values in background.grid.items()},
    }


def _configuration(rank: int | None, item: Configuration, results: Results) -> dict[str, Value]:
    board = results.board
    return {
        "rank": rank,
        # A setting without an effect there has no value.
        "values": {
            key: (own[0] if len(own) == 1 else list(own)) if has_effect(key, item, board) else None
            for key, own in item.values.items()
        },
        "trials": list(item.trials),
        "states": {state.value: number for state, number in item.states.items()},
        "scores": list(item.scores),
        "mean": item.mean,
        "sd": item.sd,
        "confirmed": item.confirmed,
    }


def _rung(rung: Rung) -> dict[str, Value]:
    own = rung.configuration
    return {
        "epoch": rung.epoch,
        "reached": rung.reached,
        "stopped": rung.stopped,
        "best": rung.best,
        "trials": list(own.trials) if own else [],
    }


def _ladder(ladder: Ladder, results: Results) -> list[dict[str, Value]]:
    landings = find_landings(ladder, board=results.board, records=results.records)
    return [
        {
            "epoch": item.epoch,
            "entered": item.entered,
            "fates": dict(item.fates),
            "best": item.best,
            "trials": list(item.configuration.trials) if item.configuration else [],
        }
        for item in landings
    ]


def _finite(value: Value) -> Value:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
