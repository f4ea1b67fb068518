"""Read overrides as what a search may choose from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override
from omegaconf import OmegaConf

from sweep.errors import BadInput
from sweep.plan.trial import Value
from sweep.search.space import Axis, Choice, Interval

Texts = dict[tuple[str, str], str]  # a key and a value's repr to how that was typed

UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds_of(text: str | float | None) -> float | None:
    """Read a length of time: 90, 90s, 30m, 2h, 1d.

    Raises BadInput.
    """
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)", str(text))
    if match is None:
        raise BadInput(f"hydra.sweeper.max_time={text}: write a length of time such as 90s or 2h")
    return float(match[1]) * UNITS_S[match[2]]


def axis_of(override: Override, texts: Texts) -> Axis:
    """Read what an override chooses from; `texts` takes down how each value was typed."""
    key, value = override.get_key_element(), override.value()
    if isinstance(value, IntervalSweep):
        whole = isinstance(value.start, int) and isinstance(value.end, int)
        low, high = (float(end) for end in (value.start, value.end) if end is not None)
        return Interval(low=low, high=high, log="log" in value.tags, whole=whole)
    if not override.is_sweep_override():
        values, written = [value], [override.get_value_element_as_str()]
    else:
        values = list(override.sweep_iterator())
        written = [str(text) for text in override.sweep_string_iterator()]
    found = {}
    for own, text in zip(map(_unquoted, values), written, strict=True):
        texts.setdefault((key, repr(own)), text)
        found[repr(own)] = own
    return Choice(tuple(found.values()))


def by_key(texts: Texts) -> dict[str, dict[str, str]]:
    """Sort by key how values were typed."""
    found: dict[str, dict[str, str]] = {}
    for (key, value), text in texts.items():
        found.setdefault(key, {})[value] = text
    return found


def only(axis: Axis) -> tuple[Value, ...] | None:
    """Give the value of an axis that has no other, None where there is a choice."""
    return axis.values if isinstance(axis, Choice) and len(axis.values) == 1 else None


def seeds_of(key: str, axes: Mapping[str, Axis]) -> tuple[Value, ...]:
    """List the seeds that every configuration is trained with; none: its own.

    Raises BadInput for a range.
    """
    axis = axes.get(key)
    if axis is None or only(axis) is not None:
        return ()
    if not isinstance(axis, Choice):
        raise BadInput(f"{key}: seeds are shared by all configurations; write {key}=0,1,2")
    return axis.values


def plain(value: Any) -> Any:
    """Turn a node of a configuration into plain values."""
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _unquoted(value: Any) -> Value:
    return getattr(value, "text", value)
