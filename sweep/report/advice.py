"""Tell what further trials could be expected to gain, and at what cost."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.plan.trial import Record
from sweep.report.formats import decimals, show_score
from sweep.report.leaderboard import Configuration, Leaderboard, cost
from sweep.report.results import Results

FEWEST = 8  # configurations, below which nothing is said
LIKELY = 0.95


@dataclass(frozen=True, slots=True)
class Advice:
    """What as many configurations again would bring."""

    configurations: int  # so many were tried, and would be tried again
    gain: float  # expected, in units of the objective; never below zero
    at_most: float  # with a probability of 95 %
    nothing: float  # probability of no gain at all
    hours: float  # of what the search held
    unit: str  # CPU or GPU
    noise: float | None  # spread over seeds, where that is known

    @property
    def pays(self) -> bool:
        """Tell whether the expected gain is more than what a seed alone moves."""
        return self.gain > (self.noise or 0.0)


def advise(results: Results) -> Advice | None:
    """Say what doubling the search would be expected to gain.

    Had the configurations come in another order, their better half would have come first or
    second: over all orders, what the second half of the search brought beyond the first has a
    distribution that is known exactly (order statistics; Dodge et al. 2019 draw the same curve).
    The next doubling brings no more than that as long as gains shrink, which they do where scores
    have a floor. It takes configurations as draws at random: of a strategy that learns it says
    what a random search would bring. None below eight configurations.
    """
    board = results.board
    searched = [*board.ranked, *board.unranked]
    scores = sorted(cost(_screened(item), board.direction) for item in board.ranked if item.scores)
    ended = [item for item in searched if any(state.terminal for state in item.states)]
    if len(scores) < FEWEST:
        return None
    # What diverged or was pruned was tried as well, and would not have been the best.
    scores += [scores[-1]] * max(0, len(ended) - len(scores))
    n, half = len(scores), len(scores) // 2
    chances = [half / n]  # that the i-th best of all is the best of a random half
    for i in range(1, n):
        chances.append(chances[-1] * (n - i - half + 1) / (n - i))
    gains = [score - scores[0] for score in scores]
    seconds, unit = _spent(searched, results.records)
    return Advice(
        configurations=n,
        gain=sum(chance * gain for chance, gain in zip(chances, gains, strict=True)),
        at_most=_quantile(gains, chances),
        nothing=sum(chance for chance, gain in zip(chances, gains, strict=True) if gain == 0),
        hours=seconds / 3600,
        unit=unit,
        noise=_noise(board),
    )


def advice_lines(results: Results) -> list[str]:
    """Say it in a sentence, where there is enough to say."""
    found = advise(results)
    if found is None:
        return []
    places = decimals(results.board.best.mean if results.board.best else None)
    verb = "lower" if results.board.direction == "minimize" else "raise"
    price = hourly = ""
    if found.hours > 0:
        price = f" ({found.hours:.2g} {found.unit}-hours)"
        hourly = f" ({show_score(found.gain / found.hours, places=places)} an hour)"
    line = (
        f"As many configurations again{price} would be expected to {verb} the best "
        f"{results.board.objective} by at most "
        f"{show_score(found.gain, places=places)}{hourly}, and with {LIKELY * 100:.0f} % "
        f"probability by no more than {show_score(found.at_most, places=places)}, were they drawn "
        "at random"
    )
    if found.noise is None:
        return [f"{line}."]
    moved = show_score(found.noise, places=places)
    if found.pays:
        return [f"{line}. A seed alone moves it by {moved}: going on may pay."]
    return [f"{line}. A seed alone moves it by {moved}: stop here, or give seeds to the best."]


def _screened(item: Configuration) -> float | None:
    """Give the score of the search: fresh seeds were given to the best alone."""
    return statistics.fmean(item.screened) if item.screened else item.mean


def _quantile(gains: Sequence[float], chances: Sequence[float]) -> float:
    so_far = 0.0
    for gain, chance in zip(gains, chances, strict=True):
        so_far += chance
        if so_far >= LIKELY - 1e-12:
            return gain
    return gains[-1]


def _spent(searched: Sequence[Configuration], records: Mapping[int, Record]) -> tuple[float, str]:
    """Add up what the search itself cost: fresh seeds are not part of another search."""
    numbers = [n for item in searched if not item.confirmed for n in item.trials]
    confirmed = sum(item.confirmed for item in searched)
    found = [records[number] for number in numbers if number in records]
    share = 1 + (confirmed / len(searched) if len(searched) > confirmed else 0)
    gpu = sum(record.gpu_seconds for record in found)
    cpu = sum(record.cpu_seconds for record in found)
    return (gpu * share, "GPU") if gpu else (cpu * share, "CPU")


def _noise(board: Leaderboard) -> float | None:
    spreads = [item.sd for item in board.ranked if item.sd is not None and not item.infeasible]
    if not spreads:
        return None
    return math.sqrt(statistics.fmean(sd**2 for sd in spreads))
