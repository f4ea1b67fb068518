"""Write a space as JSON that people can read, and read it back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from sweep.plan.trial import Value
from sweep.search.space import Axis, Branch, Choice, Interval, Space


def space_to_json(space: Space) -> dict[str, Value]:
    """Write a space: an axis is {"values": [...]}, or {"low": A, "high": B, "log":, "whole":}."""
    return {
        "axes": _axes(space.axes),
        "branches": [
            {"when": dict(branch.when), "axes": _axes(branch.axes)} for branch in space.branches
        ],
        "fixed": dict(space.fixed),
    }


def space_from_json(body: Mapping[str, Value]) -> Space:
    """Read a space back."""
    return Space(
        _read_axes(body["axes"]),
        tuple(Branch(item["when"], _read_axes(item["axes"])) for item in body["branches"]),
        body["fixed"],
    )


def _axes(axes: Mapping[str, Axis]) -> dict[str, Value]:
    return {
        key: {"values": list(axis.values)} if isinstance(axis, Choice) else asdict(axis)
        for key, axis in axes.items()
    }


def _read_axes(body: Mapping[str, Value]) -> dict[str, Axis]:
    return {
        key: Choice(tuple(item["values"])) if "values" in item else Interval(**item)
        for key, item in body.items()
    }
