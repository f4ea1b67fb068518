"""Expand a grid with conditional ranges into the overrides of its trials."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.errors import BadInput

Axes = Mapping[str, Sequence[str]]  # key to its values, as Hydra writes them


@dataclass(frozen=True, slots=True)
class Condition:
    """Ranges that hold only where other keys have given values."""

    when: Mapping[str, str]
    params: Axes


def expand(
    axes: Axes,
    *,
    conditions: Sequence[Condition] = (),
    fixed: Mapping[str, str] | None = None,
    most: int,
) -> list[tuple[str, ...]]:
    """List the overrides of every trial, the last axis fastest.

    A matching condition's params replace axes of the same key; `fixed` holds the values of keys
    that are no axis. Raises BadInput for an axis without values, and for more than `most` trials
    before any is built.
    """
    for ranges in (axes, *(condition.params for condition in conditions)):
        for key, values in ranges.items():
            if not values:
                raise BadInput(f"{key}: the grid gives it no value; write {key}=VALUE,VALUE")
    selectors = {
        key: values
        for key, values in axes.items()
        if any(key in condition.when for condition in conditions)
    }
    blocks = [
        _block(axes, dict(zip(selectors, choice, strict=True)), conditions, fixed or {})
        for choice in itertools.product(*selectors.values())
    ]
    count = sum(math.prod(len(values) for values in block.values()) for block in blocks)
    if count > most:
        raise BadInput(
            f"the grid has {count:,} trials, more than hydra.sweeper.max_trials={most:,}; "
            "narrow an axis, or raise hydra.sweeper.max_trials"
        )
    return [
        trial
        for block in blocks
        for trial in itertools.product(
            *([f"{key}={value}" for value in values] for key, values in block.items())
        )
    ]


def _block(
    axes: Axes,
    choice: Mapping[str, str],
    conditions: Sequence[Condition],
    fixed: Mapping[str, str],
) -> Axes:
    block: dict[str, Sequence[str]] = {
        key: [choice[key]] if key in choice else values for key, values in axes.items()
    }
    for condition in conditions:
        given = {**fixed, **choice}
        if all(given.get(key) == value for key, value in condition.when.items()):
            block.update(condition.params)
    return block
