"""Check configurations of the LSTM application, and tell which are equal in effect."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, cast, get_args, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from sweep.errors import BadInput, UnknownName
from sweep.plan.facets import Facet, Flat, hashable
from sweep.plan.rules import PROBLEMS, Problem
from sweep.plan.settings import Settings
from sweep.plan.trial import Value

UNFELT = ("tracking.", "gate.")  # groups that no trial's numbers depend on

LIMITS: Mapping[str, Any] = {
    "data.target": Field(min_length=1),
    "data.lookback": Field(ge=1),
    "data.horizon": Field(ge=1),
    "data.split": Field(min_length=3, max_length=3),
    "data.folds": Field(ge=1, le=20),
    "data.vocabulary": Field(ge=1),
    "data.longest": Field(ge=1),
    "model.hidden_size": Field(ge=1),
    "model.num_layers": Field(ge=1, le=16),
    "model.dropout": Field(ge=0, lt=1),
    "model.output_dropout": Field(ge=0, lt=1),
    "model.segment": Field(ge=2),
    "model.embedding_size": Field(ge=1),
    "optim.lr": Field(gt=0, allow_inf_nan=False),
    "optim.weight_decay": Field(ge=0, allow_inf_nan=False),
    "optim.l1": Field(ge=0, allow_inf_nan=False),
    "optim.momentum": Field(ge=0, lt=1),
    "optim.clip_norm": Field(gt=0, allow_inf_nan=False),
    "optim.schedule.warmup_epochs": Field(ge=0),
    "optim.schedule.gamma": Field(gt=0, lt=1),
    "optim.schedule.step_epochs": Field(ge=1),
    "optim.schedule.min_factor": Field(ge=0, lt=1),
    "optim.schedule.patience": Field(ge=1),
    "train.batch_size": Field(ge=1),
    "train.epochs": Field(ge=1),
    "train.patience": Field(ge=1),
    "train.min_delta": Field(ge=0, allow_inf_nan=False),
    "train.seed": Field(ge=0, lt=2**63),
    "gate.min_effect": Field(ge=0, allow_inf_nan=False),
    "gate.seeds": Field(ge=5),
    "gate.nights": Field(ge=0),
    "tracking.ensemble": Field(ge=2),
    "tracking.children": Field(pattern=r"^(all|none|top:[1-9][0-9]*)$"),
}


def parse(config: Mapping[str, Any]) -> Settings:
    """Read a resolved configuration.

    Raises BadInput with one line that names the first wrong key, its value and the remedy.
    """
    flat = flatten(config)
    for key, value in flat.items():
        check_value(key, value)
    settings = cast(Settings, _build(Settings, config))
    check_rules(flat)
    return settings


def settings_of(config: Flat) -> Settings:
    """Read a flat configuration that was checked already; missing keys take their defaults."""
    return cast(Settings, _build(Settings, unflatten(config)))


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Value]:
    """Turn nested groups into dotted keys; lists stay values."""
    flat: dict[str, Value] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def unflatten(config: Flat) -> dict[str, Any]:
    """Turn dotted keys into nested groups."""
    tree: dict[str, Any] = {}
    for key, value in config.items():
        *path, last = key.split(".")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[last] = value
    return tree


def check_value(key: str, value: Value) -> None:
    """Refuse an unknown key, a wrong type or a value out of range.

    A value that holds an interpolation is left to the worker, which resolves it.
    Raises BadInput.
    """
    adapter = ADAPTERS.get(key)
    if adapter is None:
        raise UnknownName("configuration key", key, ADAPTERS)
    if isinstance(value, str) and "${" in value:
        return
    if value == "???":
        raise BadInput(f"{key} is not given; write {key}=VALUE")
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        raise BadInput(f"{key}={value}: {_reason(error, key, value)}") from None


def check_rules(config: Flat) -> None:
    """Refuse settings that contradict each other.

    Raises BadInput.
    """
    for rule in RULES:
        rule.of(config)


def effect(config: Flat) -> Hashable:
    """Put settings that have no effect to None, so that equal trials look equal.

    Dropout between layers does nothing with one layer; momentum is SGD's alone; AdamW without
    weight decay is Adam; a schedule, a loss and a kind of data read only their own keys; no
    sequence is longer than the longest; tracking and gate have no effect.
    """
    flat = dict(config)
    for key, has_effect in FELT.items():
        if not has_effect(config):
            flat[key] = None
    if config.get("optim.name") == "adamw" and config.get("optim.weight_decay") == 0:
        flat["optim.name"] = "adam"
    lookback, longest = config.get("data.lookback"), config.get("data.longest")
    if _classifies(config) and isinstance(lookback, int) and isinstance(longest, int):
        flat["data.lookback"] = min(lookback, longest)
    return tuple(hashable(flat.get(key)) for key in EFFECT.keys if not key.startswith(UNFELT))


def _classifies(config: Flat) -> bool:
    return bool(config.get("data.kind", "series") != "series")


FELT: Mapping[str, Callable[[Flat], bool]] = {  # settings that have no effect, but where it is so
    "data.horizon": lambda config: not _classifies(config),
    "data.vocabulary": lambda config: config.get("model.embedding") is not None,
    "model.embedding_size": lambda config: config.get("model.embedding") is not None,
    "model.dropout": lambda config: config.get("model.num_layers") != 1,
    "optim.momentum": lambda config: config.get("optim.name") == "sgd",
    "optim.schedule.gamma": lambda config: (
        config.get("optim.schedule.name") in ("step", "exponential", "plateau")
    ),
    "optim.schedule.step_epochs": lambda config: config.get("optim.schedule.name") == "step",
    "optim.schedule.min_factor": lambda config: config.get("optim.schedule.name") == "cosine",
    "optim.schedule.patience": lambda config: config.get("optim.schedule.name") == "plateau",
    "train.quantiles": lambda config: config.get("train.loss") == "quantile",
}


def _pack_keys() -> tuple[str, ...]:
    """Name all that trials of one array have in common; the rest may differ from lane to lane."""
    own = ("model.dropout", "model.output_dropout", "model.activation")
    data_and_model = (k for k in ADAPTERS if k.startswith(("data.", "model.")) and k not in own)
    how = ("train.batch_size", "train.backend", "train.device", "train.precision")
    return (*data_and_model, *how)


def pack(config: Flat) -> Hashable:
    """Name what trials of one array have in common: settings, and how many outputs a loss asks for.

    Which quantiles are asked for may differ from lane to lane, their number may not.
    """
    loss, quantiles = (config.get(key, DEFAULTS[key]) for key in OUTPUT_KEYS)
    asked = quantiles if loss == "quantile" else []
    outputs = len(asked) if isinstance(asked, Sequence) and not isinstance(asked, str) else asked
    own = "mse" if loss == "mae" else loss
    return (*(hashable(config.get(key)) for key in PACK_KEYS), own, outputs)


@cache
def _kinds(group: type) -> Mapping[str, Any]:
    return get_type_hints(group)


def _fields(group: type, prefix: str = "") -> dict[str, tuple[Any, Value]]:
    found: dict[str, tuple[Any, Value]] = {}
    kinds = _kinds(group)
    for item in dataclasses.fields(group):
        key, kind = prefix + item.name, kinds[item.name]
        if dataclasses.is_dataclass(kind):
            found.update(_fields(cast(type, kind), f"{key}."))
            continue
        if item.default_factory is not dataclasses.MISSING:
            default = item.default_factory()
        else:
            default = None if item.default is dataclasses.MISSING else item.default
        found[key] = (_limited(kind, LIMITS.get(key)), default)
    return found


def _limited(kind: Any, limit: Any) -> Any:
    if limit is None:
        return kind
    inner = [part for part in get_args(kind) if part is not type(None)]
    if isinstance(kind, UnionType) and len(inner) == 1:
        return Annotated[inner[0], limit] | None
    return Annotated[kind, limit]


_FIELDS = _fields(Settings)
ADAPTERS: Mapping[str, TypeAdapter[Any]] = {
    key: TypeAdapter(kind, config=ConfigDict(strict=True)) for key, (kind, _) in _FIELDS.items()
}
DEFAULTS: Mapping[str, Value] = {key: default for key, (_, default) in _FIELDS.items()}


def _rule(keys: tuple[str, ...], problem: Problem) -> Facet[None]:
    def check(config: Flat) -> None:
        values = [config.get(key, DEFAULTS.get(key)) for key in keys]
        if any(isinstance(value, str) and "${" in value for value in values):
            return  # the worker resolves it, and checks it then
        text = problem(*values)
        if text:
            raise BadInput(text)

    return Facet(keys, check)


RULES: Sequence[Facet[None]] = [_rule(keys, problem) for keys, problem in PROBLEMS]
PACK_KEYS = _pack_keys()
OUTPUT_KEYS = ("train.loss", "train.quantiles")  # decide about a pack besides

EFFECT = Facet(
    tuple(
        dict.fromkeys(
            (
                *FELT,
                "data.kind",
                "data.lookback",
                "data.longest",
                "model.num_layers",
                "model.embedding",
                "optim.name",
                "optim.weight_decay",
                "optim.schedule.name",
                "train.loss",
                *(key for key in ADAPTERS if key.startswith(UNFELT)),
            )
        )
    ),
    effect,
)


def _reason(error: ValidationError, key: str, value: Value) -> str:
    first = error.errors()[0]
    kind, message = first["type"], first["msg"]
    if kind == "literal_error":
        return f"no such choice; there are {first['ctx']['expected']}"
    if key == "tracking.children" and kind == "string_pattern_mismatch":
        return "must be all, none or top:N"
    message = message.removeprefix("Input should be ").removeprefix("Value should ")
    return f"must be {message} (got {type(value).__name__} {value!r})"


def _build(group: type, config: Mapping[str, Any], prefix: str = "") -> object:
    kinds = _kinds(group)
    values: dict[str, object] = {}
    for item in dataclasses.fields(group):
        kind = kinds[item.name]
        if dataclasses.is_dataclass(kind):
            part = config.get(item.name, {})
            values[item.name] = _build(cast(type, kind), part, f"{prefix}{item.name}.")
        elif item.name in config:
            values[item.name] = config[item.name]
        elif item.default is item.default_factory:  # both missing: required
            raise BadInput(f"{prefix}{item.name} is missing; add it to the configuration")
    return group(**values)
