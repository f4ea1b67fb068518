"""Compose a multirun once, and set each trial's values on what was composed."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sweep.errors import BadInput, SweepError, UnknownName, nearest
from sweep.plan.round import Base, set_values
from sweep.plan.trial import Trial, Value

SAMPLES = 2  # trials that are composed by Hydra as well, to prove the short cut


@dataclass(frozen=True, slots=True)
class Parsed:
    """One override string, parsed once however often it occurs."""

    structural: bool  # changes what is composed, rather than setting a value on it
    group: bool  # chooses a file, which Hydra does before it sets any value
    key: str
    value: Value


@dataclass(frozen=True, slots=True)
class Composition:
    """What a multirun composes to: few bases and, for each trial, the values set on one of them."""

    bases: list[Base]
    trials: list[Trial]
    plain: bool  # False: a tree is typed or holds what JSON cannot; workers let Hydra compose


def compose(
    job_overrides: Sequence[Sequence[str]],
    *,
    loader: ConfigLoader,
    master: DictConfig,
    first_number: int = 0,
) -> Composition:
    """Turn override lists into bases and trials; each distinct structure is composed once.

    An override that all jobs share is part of the base. Raises BadInput where Hydra refuses an
    override, or a value is set on a key that does not exist.
    """
    parsed = _Overrides(loader)
    common = _common(job_overrides)
    for text in sorted(set[str]().union(*job_overrides)):
        parsed[text]  # a mistake is told here, in the person's own words
    entangled = _entangled(parsed, common)
    groups: dict[tuple[str, ...], int] = {}
    trees: list[DictConfig] = []
    bases: list[Base] = []
    known: list[set[str]] = []
    trials: list[Trial] = []

    def base_of(structural: tuple[str, ...]) -> int:
        if structural not in groups:
            tree = _load(loader, master, structural)
            config = to_tree(tree)
            groups[structural] = len(bases)
            trees.append(tree)
            bases.append(Base(structural, as_json(config)))
            known.append(set(_keys(config)))
        return groups[structural]

    for i, overrides in enumerate(job_overrides):
        structural, values = _split(overrides, common, parsed)
        if not entangled.isdisjoint(values):
            structural, values = tuple(overrides), {}
        base = base_of(structural)
        if not values.keys() <= known[base]:
            unknown = next(key for key in values if key not in known[base])
            try:  # such as an item of a list
                base, values = base_of(tuple(overrides)), {}
            except BadInput:
                raise UnknownName("configuration key", unknown, known[base]) from None
        trials.append(Trial(first_number + i, base, values))
    plain = all(is_plain(tree) for tree in trees)
    composition = Composition(bases, trials, plain)
    if plain:
        _prove(composition, job_overrides, loader=loader, master=master)
    return composition


class _Overrides(dict[str, Parsed]):
    """Each distinct override string, parsed when it is first asked for."""

    def __init__(self, loader: ConfigLoader) -> None:
        super().__init__()
        self._loader = loader
        self._groups: dict[str, list[str]] = {}  # a listing takes milliseconds
        self._parser = OverridesParser.create(config_loader=loader)

    def __missing__(self, text: str) -> Parsed:
        try:
            override = self._parser.parse_override(text)
        except HydraException as error:
            raise BadInput(f"{text}: {_first_line(error)}") from None
        parsed = self[text] = _classify(override, group=self._is_group(override.key_or_group))
        return parsed

    def _is_group(self, key: str) -> bool:
        parent, _, name = key.rpartition("/")
        if parent not in self._groups:
            self._groups[parent] = self._loader.list_groups(parent)
        return name in self._groups[parent]


def _classify(override: Override, *, group: bool) -> Parsed:
    key = override.key_or_group
    value = override.value()
    group = group and not isinstance(value, dict)
    structural = (
        group
        or isinstance(value, dict)  # which Hydra merges
        or override.is_add()
        or override.is_force_add()
        or override.is_delete()
        or override.package is not None
        or key == "hydra"
        or key.startswith(("hydra.", "hydra/"))
        or "${" in str(value)
        or not _is_json(value)
    )
    return Parsed(structural, group, key, value)


def _common(job_overrides: Sequence[Sequence[str]]) -> frozenset[str]:
    if not job_overrides:
        return frozenset()
    common = set(job_overrides[0])
    for overrides in job_overrides:
        common.intersection_update(overrides)
    return frozenset(common)


def _entangled(parsed: Mapping[str, Parsed], common: frozenset[str]) -> frozenset[str]:
    # Values are set last, all else in the order given: these keys would end up otherwise.
    values = {p.key for text, p in parsed.items() if not p.structural and text not in common}
    fixed = {
        p.key for text, p in parsed.items() if not p.group and (p.structural or text in common)
    }
    above = {parent for key in values | fixed for parent in _parents(key)}
    return frozenset(
        key
        for key in values
        if key in fixed or key in above or not (values | fixed).isdisjoint(_parents(key))
    )


def _parents(key: str) -> list[str]:
    parts = key.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


def _split(
    overrides: Sequence[str], common: frozenset[str], known: _Overrides
) -> tuple[tuple[str, ...], dict[str, Value]]:
    structural: list[str] = []
    values: dict[str, Value] = {}
    for text in overrides:
        if text in common:
            structural.append(text)
            continue
        parsed = known[text]
        if parsed.structural:
            structural.append(text)
        else:
            values[parsed.key] = parsed.value
    if len(structural) + len(values) != len(overrides):
        return tuple(overrides), {}  # a key is set twice: let Hydra decide
    return tuple(structural), values


def _load(loader: ConfigLoader, master: DictConfig, overrides: Sequence[str]) -> DictConfig:
    try:
        return loader.load_sweep_config(master, list(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise BadInput(explain(error)) from None


def explain(error: Exception) -> str:
    """Say in one line what Hydra says in several, with the nearest names that there are."""
    text = str(error)
    missing = re.search(r"Could not find '([^']+)'", text)
    if missing:
        group, _, name = missing[1].rpartition("/")
        options = re.search(r"Available options in '[^']*':\n((?:\s+\S+\n?)+)", text)
        known = options[1].split() if options else []
        return f"{group}={name}: no such choice; {nearest(name, known)}"
    if isinstance(error, OverrideParseException):
        return f"{error.override}: {_first_line(error)}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException):
        lines += [line.strip() for line in str(cause).splitlines()[:1]]
    return " ".join(line for line in lines if not line.startswith(("full_key", "object_type")))


def to_tree(config: DictConfig) -> dict[str, Any]:
    """Turn a composed configuration into nested mappings, without the hydra node, unresolved."""
    tree = OmegaConf.to_container(config, resolve=False)
    if not isinstance(tree, dict):
        raise SweepError("the composed configuration is not a mapping")
    return {str(k): v for k, v in tree.items() if k != "hydra"}


def is_plain(config: DictConfig) -> bool:
    """Tell whether everything but the hydra node is untyped and clean JSON."""
    return all(_is_untyped(config._get_node(key)) for key in config if key != "hydra") and _is_json(
        to_tree(config)
    )


def _is_untyped(node: Any) -> bool:
    if isinstance(node, DictConfig):
        if node._metadata.object_type not in (None, dict):
            return False
        if node._is_none() or node._is_missing() or node._is_interpolation():
            return True
        return all(_is_untyped(node._get_node(key)) for key in node)
    if isinstance(node, ListConfig):
        if node._is_none() or node._is_missing() or node._is_interpolation():
            return True
        return all(_is_untyped(node._get_node(i)) for i in range(len(node)))
    return node._metadata.ref_type is Any


def as_json(value: Any) -> Any:
    """Show a tree with enums and the like as JSON; for people, nothing is trained from it."""
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, Enum):
        return value.name
    return value if _is_json(value) else str(value)


def _is_json(value: Any) -> bool:
    if isinstance(value, Enum):
        return False
    if value is None or isinstance(value, bool | int | str):
        return True
    if isinstance(value, float):
        return value == value and abs(value) != float("inf")
    if isinstance(value, list):
        return all(_is_json(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    return False


def _keys(config: Mapping[str, Any], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for key, value in config.items():
        if isinstance(value, Mapping):  # a value for all of it: most often a group's choice
            keys.extend(_keys(value, f"{prefix}{key}."))
        else:
            keys.append(f"{prefix}{key}")
    return keys


def _prove(
    composition: Composition,
    job_overrides: Sequence[Sequence[str]],
    *,
    loader: ConfigLoader,
    master: DictConfig,
) -> None:
    varied = [i for i, trial in enumerate(composition.trials) if trial.values]
    chosen = random.Random(0).sample(varied, min(SAMPLES, len(varied)))  # noqa: S311
    for i in chosen:
        trial = composition.trials[i]
        ours = set_values(composition.bases[trial.base].config, trial.values)
        theirs = to_tree(_load(loader, master, job_overrides[i]))
        if ours != theirs:
            raise BadInput(
                f"trial {trial.number} ({' '.join(job_overrides[i])}) composes differently when "
                "its values are set on the shared configuration: a config group reads a varied "
                "value in its defaults list; give that group as an override of its own"
            )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].strip()
