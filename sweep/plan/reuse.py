"""Name what a trial is by its content, so that what was trained once is known again."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from sweep.errors import CorruptPlan
from sweep.plan.application import Application
from sweep.plan.facets import Flat, Grid
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
    effects = map(repr, table.ask(application.effect))
    data = table.ask(application.data)
    own = {*application.effect.keys, *application.paths}
    bases = [{key: value for key, value in flat.items() if key not in own} for flat in flats]
    impure = [{key for key, value in base.items() if not is_pure(value)} for base in bases]
    found: dict[int, str] = {}
    for trial, effect, hashes in zip(trials, effects, data, strict=True):
        values = {key: value for key, value in trial.values.items() if key not in own}
        if not is_pure([effect, *values.values()]) or impure[trial.base].difference(values):
            continue
        settings = {**bases[trial.base], **values}
        found[trial.number] = digest([settings, effect, dict(hashes)])
    return found


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
