"""Give a trial the configuration that it is trained with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from sweep.plan.round import set_values
from sweep.plan.trial import Value


def resolve(base: Mapping[str, Any], values: Mapping[str, Value]) -> dict[str, Any]:
    """Set values on a composed configuration, and resolve it in this process' environment."""
    tree = set_values(base, values)
    if not _interpolates(tree):  # OmegaConf takes 10 ms to give it back as it is
        return tree
    resolved = OmegaConf.to_container(OmegaConf.create(tree), resolve=True)
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


def _interpolates(value: Any) -> bool:
    if isinstance(value, str):
        return "${" in value
    if isinstance(value, Mapping):
        return any(map(_interpolates, value.values()))
    return isinstance(value, list) and any(map(_interpolates, value))
