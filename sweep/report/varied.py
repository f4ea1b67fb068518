"""Tell which settings vary among trials, over which values, and what to call them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sweep.plan.facets import Flat
from sweep.plan.trial import Trial, Value
from sweep.report.formats import show_value


@dataclass(frozen=True, slots=True)
class Varied:
    """The settings with more than one value among the trials of a study."""

    values: Mapping[str, tuple[Value, ...]]  # dotted key to its values, numbers in ascending order
    names: Mapping[str, str]  # dotted key to a short name, unique among them
    bases: Sequence[Flat]

    def of(self, trial: Trial) -> dict[str, Value]:
        """Give a trial's values of the varied settings."""
        base = self.bases[trial.base]
        return {key: trial.values.get(key, base.get(key)) for key in self.values}

    def label(self, trial: Trial) -> str:
        """Name a trial by its varied settings alone: 'lr=0.001 hidden_size=200'."""
        return " ".join(f"{self.names[key]}={show_value(v)}" for key, v in self.of(trial).items())


def find_varied(trials: Sequence[Trial], *, bases: Sequence[Flat]) -> Varied:
    """Find the settings with more than one value among `trials`, in the order of the grid.

    A key that a trial does not set has its base's value, and None where that has none either.
    """
    used = {trial.base for trial in trials}
    candidates = dict.fromkeys(key for trial in trials for key in trial.values)
    if len(used) > 1:
        candidates |= dict.fromkeys(key for index in sorted(used) for key in bases[index])
    values: dict[str, tuple[Value, ...]] = {}
    for key in candidates:
        seen: dict[Value, Value] = {}
        for trial in trials:
            value = trial.values[key] if key in trial.values else bases[trial.base].get(key)
            seen.setdefault(hashable(value), value)
        if len(seen) > 1:
            values[key] = in_order(seen.values())
    return Varied(values=values, names=short_names(values), bases=bases)


def short_names(keys: Collection[str]) -> dict[str, str]:
    """Shorten dotted keys to their last part, or to as many parts as tell them apart.

    `optim.name` is a group's choice, so it is called `optim`.
    """
    parts = {key: key.removesuffix(".name").split(".") for key in keys}
    longest = max((len(part) for part in parts.values()), default=0)
    names: dict[str, str] = {}
    for key, part in parts.items():
        for depth in range(1, longest + 1):
            tail = part[-depth:]
            if not any(other[-depth:] == tail for k, other in parts.items() if k != key):
                names[key] = ".".join(tail)
                break
        else:
            names[key] = key
    return names


def in_order(values: Iterable[Value]) -> tuple[Value, ...]:
    """Sort numbers; leave anything else as it came."""
    found = tuple(values)
    return tuple(sorted(found)) if all(is_number(value) for value in found) else found


def is_number(value: Value) -> bool:
    """Tell a number from a truth value and from anything else."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def hashable(value: Value) -> Value:
    """Turn a JSON value into one that can be a key."""
    if isinstance(value, list | tuple):
        return tuple(hashable(item) for item in value)
    if isinstance(value, Mapping):
        return tuple(sorted((key, hashable(item)) for key, item in value.items()))
    return value
