"""Name what a trial is by its content, so that what was trained once is known again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from sweep.errors import CorruptPlan
from sweep.plan.application import Application
from sweep.plan.facets import Facet, Flat, Grid
from sweep.plan.round import digest
from sweep.plan.trial import Record, State, Trial, Value

FORMAT = 1
RESULTS = frozenset({State.COMPLETED, State.INFEASIBLE})
PINNED = re.compile(r".+@sha256:[0-9a-f]{64}")
# Resolvers that give the same for the same configuration, wherever and whenever they are asked.
PURE = frozenset({"oc.create", "oc.decode", "oc.deprecated", "oc.dict", "oc.select"})
_CALL = re.compile(r"\$\{\s*([A-Za-z_][\w.]*?)(?:\.keys|\.values)?\s*:")
_HYDRA = re.compile(r"\$\{\s*hydra\b")  # where a trial's number and folder stand


def context_of(
    *, task: str, image: str | None, bundle: str | None, surroundings: Mapping[str, Value]
) -> str | None:
    """Name what all trials of a study share; None where the code is not pinned by its content.

    `surroundings` is what else decides about numbers: the device that is asked for, the build of
    torch where it is known.
    """
    pinned = image is not None and PINNED.fullmatch(image)
    if not pinned and bundle is None:
        return None
    return digest(
        {"task": task, "image": image, "bundle": bundle, "surroundings": dict(surroundings)}
    )


def contents_of(
    flats: Sequence[Flat], trials: Sequence[Trial], *, application: Application
) -> dict[int, str]:
    """Name what each trial is, given the code: its settings in effect, and its data's content.

    Settings are compared unresolved; a path counts by what lies there. A trial that reads the
    clock, the environment or anything else than its own configuration is left out.
    """
    table = Grid(flats, trials)
    own = {*application.effect.keys, *application.paths}
    # A group is hashed once per distinct combination of its settings, a trial from its groups.
    parts = [table.ask(Facet(keys, _settings)) for keys in _groups(flats, trials, own)]
    parts.append(table.ask(Facet(application.effect.keys, partial(_effect, application))))
    parts.append(table.ask(Facet(application.data.keys, partial(_data, application))))
    return {
        trial.number: hashlib.sha256("".join(own_parts).encode()).hexdigest()
        for trial, *own_parts in zip(trials, *parts, strict=True)
        if None not in own_parts
    }


def is_pure(value: Value) -> bool:
    """Tell whether a setting depends on nothing but the configuration that it stands in."""
    if isinstance(value, list):
        return all(map(is_pure, value))
    if isinstance(value, dict):
        return all(map(is_pure, value.values()))
    if not isinstance(value, str) or "${" not in value:
        return True
    return all(name in PURE for name in _CALL.findall(value)) and not _HYDRA.search(value)


def contents_to_bytes(contents: Mapping[int, str]) -> bytes:
    """Write the list of what the trials of a round are."""
    return json.dumps({"format": FORMAT, "contents": contents}, separators=(",", ":")).encode()


def contents_from_bytes(data: bytes, *, where: str) -> dict[str, int]:
    """Read such a list, turned round: content to the first trial that has it.

    Raises CorruptPlan, naming `where`.
    """
    try:
        body = json.loads(data)
        if body["format"] != FORMAT:
            return {}  # of another version: what it trained is not known again
        found: dict[str, int] = {}
        for number, content in body["contents"].items():
            found.setdefault(content, int(number))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptPlan(f"{where}: not a list of contents ({error!r}); remove it") from None
    return found


def taken_over(record: Record, *, study: str, trial: int, round_number: int) -> Record:
    """Make another study's record one of this study's: it cost nothing here.

    Its times, device and versions stay what they were when it was trained.
    """
    return replace(
        record,
        trial=trial,
        round=round_number,
        pack=0,
        attempt=0,
        cpu_seconds=0.0,
        gpu_seconds=0.0,
        attempt_cpu_seconds=0.0,
        attempt_gpu_seconds=0.0,
        continued=None,
        weights=None,
        reused_from=record.reused_from or f"{study}/{record.trial}",
    )


def matches(
    contents: Mapping[int, str], known: Mapping[str, int], *, done: Collection[int] = ()
) -> Iterator[tuple[int, int]]:
    """Pair trials with those of an earlier round that are the same; `done` ones are left out."""
    for number, content in contents.items():
        if content in known and number not in done:
            yield number, known[content]


def _groups(
    flats: Sequence[Flat], trials: Sequence[Trial], own: Collection[str]
) -> list[tuple[str, ...]]:
    keys = {key for config in (*flats, *(trial.values for trial in trials)) for key in config}
    groups: dict[str, list[str]] = {}
    for key in sorted(keys.difference(own)):
        groups.setdefault(key.partition(".")[0], []).append(key)
    return [tuple(groups[name]) for name in sorted(groups)]


def _settings(config: Flat) -> str | None:
    if not all(map(is_pure, config.values())):
        return None
    return digest(config) if config else ""


def _effect(application: Application, config: Flat) -> str | None:
    effect = repr(application.effect.of(config))
    return digest(effect) if is_pure(effect) else None


def _data(application: Application, config: Flat) -> str | None:
    return digest(dict(application.data.of(config)))
