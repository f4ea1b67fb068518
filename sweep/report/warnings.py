"""Warn of what the results of a study do not bear out, with the guide's remedy."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sweep.plan.curves import RISE, overfit, still_improving
from sweep.plan.trial import Record, State, Value
from sweep.report.baselines import ahead, ahead_on_test
from sweep.report.boundary import Edge, edges
from sweep.report.choice import choose
from sweep.report.equal_epochs import level
from sweep.report.formats import count, decimals, show_list, show_score, show_value
from sweep.report.isolation import has_effect
from sweep.report.leaderboard import Configuration, Leaderboard, cost
from sweep.report.paired import MIN_SEEDS, differences, has_scipy
from sweep.report.results import Results

INFEASIBLE_SHARE = 0.20  # of the trials that ended; more says that the grid reaches too far
TOP_SHARE = 0.25  # of the ranked configurations: those that learning curves are read of
TOP_LEAST = 3
CURVE_SHARE = 0.50  # of the trials of those configurations; at least this many is a pattern
TRIALS_PER_SETTING = 5  # 36 trials over 7 settings gave no more than a rough fANOVA


class Kind(StrEnum):
    """What a warning is about, the gravest first."""

    BASELINE = "baseline"
    INFEASIBLE = "infeasible"
    SEED_NOISE = "seed noise"
    BOUNDARY = "boundary"
    STILL_IMPROVING = "still improving"
    OVERFIT = "overfit"
    FEW_TRIALS = "few trials"
    OUT_OF_REACH = "out of reach"


@dataclass(frozen=True, slots=True)
class Finding:
    """One warning: what the data say, what to do, and the numbers behind it."""

    kind: Kind
    text: str
    remedy: str
    evidence: Mapping[str, Value]


def find_warnings(results: Results) -> list[Finding]:
    """List the warnings that the results support, the gravest first."""
    return [finding for check in CHECKS for finding in check(results)]


def _baseline_wins(results: Results) -> list[Finding]:
    board, test = results.board, results.test_mean
    if board.best is None or board.best.mean is None:
        return []
    if winners := ahead(results.baselines, board=board):
        scores = {item.name: item.objective for item in winners}
        return [_beaten(scores, "every configuration", board.objective, board.best.mean)]
    if test is not None and (winners := ahead_on_test(results.baselines, board=board, test=test)):
        scores = {item.name: item.test for item in winners if item.test is not None}
        whom = "the best configuration on the test part, though not on validation"
        return [_beaten(scores, whom, board.test, test)]
    return []


def _beaten(winners: Mapping[str, float], whom: str, metric: str, own: float) -> Finding:
    places = decimals(own)
    names = [f"{name} ({show_score(score, places=places)})" for name, score in winners.items()]
    return Finding(
        Kind.BASELINE,
        f"{show_list(names)} {'beats' if len(names) == 1 else 'beat'} {whom}: the best reaches "
        f"{metric} {show_score(own, places=places)}.",
        f"Prefer the baseline, or give the network what it lacks: {_lacks(metric)}.",
        {"metric": metric, "own": own, **winners},
    )


def _lacks(metric: str) -> str:
    if metric.endswith("_error"):
        return "another pooling of its states (last, max, mean), both directions, more dropout"
    return (
        "another normalisation of its windows (none, last, revin), a longer lookback, further "
        "covariates"
    )


def _many_infeasible(results: Results) -> list[Finding]:
    counts = results.board.counts
    infeasible = counts.get(State.INFEASIBLE, 0)
    ended = infeasible + counts.get(State.COMPLETED, 0) + counts.get(State.PRUNED, 0)
    if not ended or infeasible / ended <= INFEASIBLE_SHARE:
        return []
    where = _where_infeasible(results.board)
    return [
        Finding(
            Kind.INFEASIBLE,
            f"{infeasible} of {count(ended, 'trial')} diverged ({infeasible / ended:.0%}){where}.",
            "Lower the learning rate, try RMSprop, or clip gradients (optim.clip_norm=1).",
            {"infeasible": infeasible, "ended": ended, "share": infeasible / ended},
        )
    ]


def _where_infeasible(board: Leaderboard) -> str:
    """Name the value that diverged trials have in common most exclusively."""
    seen: Counter[tuple[str, str]] = Counter()
    lost: Counter[tuple[str, str]] = Counter()
    for item in [*board.ranked, *board.unranked]:
        for key, values in item.values.items():
            if len(values) == 1 and has_effect(key, item, board):
                place = (board.names[key], show_value(values[0]))
                seen[place] += len(item.trials)
                lost[place] += item.infeasible
    if not lost or not max(lost.values()):
        return ""
    name, value = max(lost, key=lambda place: lost[place] ** 2 / seen[place])
    return f", {lost[name, value]} of them at {name}={value}"


def _seed_noise(results: Results) -> list[Finding]:
    board = results.board
    # One that stands low because it lost a seed is no rival, whatever its mean.
    rivals = [item for item in board.ranked if not item.infeasible] or list(board.ranked)
    if len(rivals) < 2:
        return []
    first, second = rivals[:2]
    gap = cost(second.mean, board.direction) - cost(first.mean, board.direction)
    if first.confirmed != second.confirmed:  # one alone kept all its fresh seeds
        return []
    places = decimals(first.mean)
    shown = f"{show_score(abs(gap), places=places)} in {board.objective}"
    shared = len(differences(first.by_seed, second.by_seed))
    evidence = {"gap": gap, "seeds": shared}
    if shared < MIN_SEEDS:
        return [
            Finding(
                Kind.SEED_NOISE,
                f"Whether the best is better than the second ({shown}) is unknown: "
                f"{_ran(shared)}, {MIN_SEEDS} are needed to tell.",
                f"Let the best be trained again with fresh seeds: hydra.sweeper.confirm=3x5, or "
                f"run them with {results.seed}=0,1,2,3,4.",
                evidence,
            )
        ]
    choice = choose(board) if has_scipy() else None
    alike = choice.alike if choice else ()
    if not alike:
        return []
    which = "the second" if len(alike) == 1 else f"{len(alike)} others"
    return [
        Finding(
            Kind.SEED_NOISE,
            f"No difference between the best and {which} is known: it leads by {shown}, which "
            f"{shared} seeds do not bear out.",
            "Take the cheapest of them, or run them with more seeds.",
            {**evidence, "alike": 1 + len(alike)},
        )
    ]


def _ran(seeds: int) -> str:
    return f"{count(seeds, 'seed')} ran" if seeds else "no seed ran for both"


def _boundary(results: Results) -> list[Finding]:
    return [_at_edge(edge, results.board) for edge in edges(results.board)]


def _at_edge(edge: Edge, board: Leaderboard) -> Finding:
    name, beyond = board.names[edge.key], show_value(edge.beyond)
    if edge.goes_on:
        end = "without an end" if edge.guide is None else f"to {show_value(edge.guide)}"
        remedy = f"The guide's range goes on {end}: add {edge.key}={beyond}."
    elif edge.guide is not None:
        remedy = f"The guide's range ends at {show_value(edge.guide)}; {edge.key}={beyond} would "
        remedy += "show whether there is a better one."
    else:
        remedy = f"Add {edge.key}={beyond}."
    return Finding(
        Kind.BOUNDARY,
        f"The best {name} ({show_value(edge.value)}) is the {edge.side} of {edge.tried} values "
        f"from {show_value(board.varied[edge.key][0])} to {show_value(board.varied[edge.key][-1])}"
        ": a better one may lie beyond.",
        remedy,
        {"key": edge.key, "value": edge.value, "side": edge.side, "beyond": edge.beyond},
    )


def _still_improving(results: Results) -> list[Finding]:
    return _curves(
        results,
        still_improving,
        kind=Kind.STILL_IMPROVING,
        what="still improving at the last epoch",
        remedy="Raise train.epochs (the guide: 50 to 100) and let early stopping end the training.",
    )


def _overfit(results: Results) -> list[Finding]:
    return _curves(
        results,
        overfit,
        kind=Kind.OVERFIT,
        what=f"overfitting (validation loss up by more than {RISE:.0%} while training loss fell)",
        remedy="Raise dropout (the guide: 0.2 to 0.5) or weight decay (0.0001 to 0.001), or use "
        "fewer units. The scores are those of the best epoch.",
    )


def _curves(
    results: Results,
    test: Callable[[Record], bool | None],
    *,
    kind: Kind,
    what: str,
    remedy: str,
) -> list[Finding]:
    """Warn where the best configuration, or most of the top ones, show a pattern."""
    board = results.board
    top = board.ranked[: max(TOP_LEAST, math.ceil(TOP_SHARE * len(board.ranked)))]
    shown, known = _share(top, test, results.records)
    best_shown, best_known = _share(top[:1], test, results.records)
    best = best_known > 0 and best_shown / best_known >= CURVE_SHARE
    if not known or not (best or shown / known >= CURVE_SHARE):
        return []
    others = f"{shown} of {count(known, 'trial')} of the top {count(len(top), 'configuration')}"
    text = f"{others} were {what}."
    if best:
        also = f", as were {others}" if len(top) > 1 else ""
        text = f"The best configuration was {what}{also}."
    return [Finding(kind, text, remedy, {"best": best, "shown": shown, "known": known})]


def _share(
    top: Sequence[Configuration],
    test: Callable[[Record], bool | None],
    records: Mapping[int, Record],
) -> tuple[int, int]:
    """Count the completed trials that show a pattern, and those that could."""
    completed = [
        records[number]
        for item in top
        for number in item.trials
        if number in records and records[number].state is State.COMPLETED
    ]
    answers = [answer for answer in map(test, completed) if answer is not None]
    return sum(answers), len(answers)


def _few_trials(results: Results) -> list[Finding]:
    board = results.board
    needed = TRIALS_PER_SETTING * len(board.varied)
    known = len(level(board, records=results.records).scores)
    if not board.ranked or known >= needed:
        return []
    return [
        Finding(
            Kind.FEW_TRIALS,
            f"{count(known, 'configuration')} for "
            f"{count(len(board.varied), 'varied setting')}: too few to tell which of them matter.",
            f"Run at least {needed}, or vary fewer settings.",
            {"ranked": known, "settings": len(board.varied), "needed": needed},
        )
    ]


def _out_of_reach(results: Results) -> list[Finding]:
    remedy = "Take other data to test it."
    return [Finding(Kind.OUT_OF_REACH, note, remedy, {}) for note in results.notes]


CHECKS: Sequence[Callable[[Results], list[Finding]]] = (
    _baseline_wins,
    _many_infeasible,
    _seed_noise,
    _boundary,
    _still_improving,
    _overfit,
    _few_trials,
    _out_of_reach,
)
