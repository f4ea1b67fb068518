"""Write what a task returned as JSON, and read it back as it was."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from sweep.plan.trial import Value

TUPLE, FLOAT = "$tuple", "$float"


def encode_value(value: Any) -> Value:
    """Turn a returned value into JSON: None, bools, numbers, strings, lists, tuples, mappings.

    Numbers may be NumPy's, or an array or tensor of no dimension. Raises TypeError for anything
    else.
    """
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        number = float(value)
        return number if math.isfinite(number) else {FLOAT: str(number)}
    if isinstance(value, tuple):
        return {TUPLE: [encode_value(item) for item in value]}
    if isinstance(value, list):
        return [encode_value(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: encode_value(item) for key, item in value.items()}
    raise TypeError(
        f"the task returned a {type(value).__name__}, which another process cannot be given; "
        "return numbers, strings, lists, tuples or mappings of them"
    )


def decode_value(value: Value) -> Any:
    """Read what `encode_value` wrote."""
    if isinstance(value, dict):
        if set(value) == {TUPLE}:
            return tuple(decode_value(item) for item in value[TUPLE])
        if set(value) == {FLOAT}:
            return float(value[FLOAT])
        return {key: decode_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [decode_value(item) for item in value]
    return value


def number_of(value: Any) -> float | None:
    """Return a finite number that can rank trials, None where it is none."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    number = float(value)
    return number if math.isfinite(number) else None
