"""Divide trials into brackets that begin to halve at different epochs: Hyperband.

Li and others 2016, arXiv:1603.06560.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from sweep.errors import BadInput
from sweep.search.halving import Bracket


def rungs(*, least: int, most: int, factor: int) -> tuple[int, ...]:
    """List the epochs of rungs from `least` on, each `factor` times the one before, to `most`.

    Raises BadInput for numbers that give no ladder.
    """
    if factor < 2:
        raise BadInput(f"a factor of {factor} halves nothing; write 2 or more")
    if not 1 <= least <= most:
        raise BadInput(f"rungs from {least} to {most} epochs: begin between 1 and {most}")
    steps = []
    epochs = least
    while epochs < most:
        steps.append(epochs)
        epochs *= factor
    return (*steps, most)


def brackets(*, least: int, most: int, factor: int = 3, count: int | None = None) -> list[Bracket]:
    """List Hyperband's brackets, the one with the earliest first rung first.

    Each has one rung less than the one before; the last trains every trial to the end, in case
    early epochs tell nothing. `count` keeps the first few: with 1 it is plain ASHA.
    """
    whole = rungs(least=least, most=most, factor=factor)
    found = [Bracket(whole[start:], factor) for start in range(len(whole))]
    return found[:count]


def sizes(ladder: Sequence[Bracket]) -> list[int]:
    """Say how many trials each bracket gets in one turn, so that all cost about the same."""
    longest = ladder[0].last
    return [
        math.ceil((longest + 1) / (bracket.last + 1) * bracket.factor**bracket.last)
        for bracket in ladder
    ]


def bracket_of(number: int, ladder: Sequence[Bracket]) -> int:
    """Give the bracket of a trial by its number alone, so that nobody has to remember it.

    Trials go round by the sizes, spread as evenly as these allow: the one furthest behind is next.
    """
    shares = sizes(ladder)
    place = number % sum(shares)
    given = [0] * len(shares)
    for turn in range(place + 1):
        behind = [
            (turn + 1) * share / sum(shares) - own for share, own in zip(shares, given, strict=True)
        ]
        chosen = max(range(len(shares)), key=behind.__getitem__)
        given[chosen] += 1
    return chosen
