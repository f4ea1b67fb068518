"""Write values, scores and spans of time as a person reads them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from sweep.plan.trial import Value

DIGITS = 4  # significant digits of the best score
MOST_DECIMALS = 6
FLOP_UNITS = ((1e18, "EFLOP"), (1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP"))


def show_value(value: Value) -> str:
    """Write one setting's value, rounded to five digits."""
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.5g}"
    return json.dumps(value, default=str)


def decimals(best: float | None) -> int:
    """Tell how many decimals show the best score with four significant digits."""
    if not best or not math.isfinite(best):
        return DIGITS
    return min(MOST_DECIMALS, max(0, DIGITS - 1 - math.floor(math.log10(abs(best)))))


def show_score(score: float | None, *, places: int) -> str:
    """Write a score with `places` decimals, or in powers of ten where these would hide it."""
    if score is None:
        return ""
    if score and not 10.0**-places <= abs(score) < 1e7:
        return f"{score:.3g}"
    return f"{score:.{places}f}"


def show_spread(spread: float | None, *, places: int) -> str:
    """Write a spread with the decimals of its score: what is smaller rounds to zero."""
    return "" if spread is None else f"{spread:.{places}f}"


def show_price(price: float) -> str:
    """Write what something costs: whole numbers in full, others with three digits."""
    if price >= 1e9:
        return f"{price:.3g}"
    return f"{price:,.0f}" if price >= 100 or price == int(price) else f"{price:.3g}"


def flop_unit(most: float) -> tuple[float, str]:
    """Choose the unit in which so many floating-point operations are read: its size, its name."""
    found = (unit for unit in FLOP_UNITS if most >= unit[0])
    return next(found, (1e6, "MFLOP"))


def show_flop(flop: float) -> str:
    """Write a number of floating-point operations in their unit, with three digits."""
    size, unit = flop_unit(flop)
    return f"{flop / size:.3g} {unit}"


def show_span(seconds: float) -> str:
    """Write a span of time with its two largest units."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two(whole, "min", 60, "s", 1)
    if whole < 86400:
        return _two(whole, "h", 3600, "min", 60)
    return _two(whole, "d", 86400, "h", 3600)


def show_list(words: Sequence[str]) -> str:
    """Join words with commas and a last 'and'."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def count(number: int, noun: str) -> str:
    """Write a number with its noun: '1 trial', '2,000 trials'."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _two(whole: int, large: str, size: int, small: str, unit: int) -> str:
    first, rest = divmod(whole, size)
    second = rest // unit
    return f"{first} {large} {second} {small}" if second else f"{first} {large}"
