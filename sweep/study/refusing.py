"""Refuse what must not be written where others read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweep.errors import BadInput
from sweep.plan.credentials import refuse, settings_in
from sweep.plan.facets import Flat
from sweep.plan.trial import Trial, Value


def refuse_credentials(
    *,
    flats: Sequence[Flat],
    trials: Sequence[Trial],
    env: Mapping[str, Value],
    overrides: Sequence[str],
    hydra: Mapping[str, Any],
) -> None:
    """Refuse settings that look like credentials, before a plan with them leaves this machine.

    `env` is what pods are given by value, `hydra` what workers compose from: its YAML files and
    command line are looked through as well. Raises BadInput, which names the first key and never
    its value.
    """
    for flat in flats:
        refuse(flat.items())
    refuse(_varied(trials))
    refuse((f"hydra.launcher.env.{name}", value) for name, value in env.items())
    for text in (*overrides, *hydra.get("argv", ())):
        refuse(settings_in(text))
    for element in hydra.get("search_path", ()):
        for name, text in dict(element.get("files") or {}).items():
            refuse((f"{name}: {key}", value) for key, value in settings_in(text))


def whole(key: str, value: Value, *, least: int) -> None:
    """Refuse what is not a whole number of at least `least`; None passes.

    Raises BadInput.
    """
    if value is not None and (not isinstance(value, int) or value < least):
        raise BadInput(f"{key}={value}: must be a whole number of at least {least}")


def _varied(trials: Sequence[Trial]) -> Iterator[tuple[str, Value]]:
    seen: dict[str, set[str]] = {}
    for trial in trials:
        for key, value in trial.values.items():
            # Of a number the key's name alone decides, so one of each type is enough.
            text = type(value).__name__ if isinstance(value, int | float) else repr(value)
            known = seen.setdefault(key, set())
            if text not in known:
                known.add(text)
                yield key, value
