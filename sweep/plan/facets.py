"""Look at a grid once per distinct combination of the settings that matter to a question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sweep.plan.trial import Trial, Value

T = TypeVar("T")
Flat = Mapping[str, Value]  # dotted key to value


@dataclass(frozen=True, slots=True)
class Facet(Generic[T]):
    """A function of some settings alone; keys that a configuration lacks are left out."""

    keys: tuple[str, ...]
    of: Callable[[Flat], T]


class Grid:
    """Trials on few bases, each trial differing from its base in few settings."""

    def __init__(self, flats: Sequence[Flat], trials: Sequence[Trial]) -> None:
        self.flats = flats
        self.trials = trials
        blocks: dict[tuple[int, frozenset[str]], _Block] = {}
        for place, trial in enumerate(trials):
            shape = (trial.base, frozenset(trial.values))
            block = blocks.get(shape)
            if block is None:
                block = blocks[shape] = _Block(flats[trial.base], shape[1])
            block.places.append(place)
            block.values.append(trial.values)
        self._blocks = list(blocks.values())

    def config(self, trial: Trial) -> dict[str, Value]:
        """Give a trial's whole configuration."""
        return {**self.flats[trial.base], **trial.values}

    def ask(self, facet: Facet[T]) -> list[T]:
        """Answer a facet for every trial, in order."""
        answers: dict[int, T] = {}
        for block in self._blocks:
            tokens = block.tokens(facet.keys)
            memo = block.answers(facet, tokens)
            answers.update(zip(block.places, map(memo.__getitem__, tokens), strict=True))
        return [answers[place] for place in range(len(self.trials))]

    def distinct(self, facet: Facet[T]) -> list[T]:
        """Answer a facet once for every distinct combination of its settings."""
        return [
            answer
            for block in self._blocks
            for answer in block.answers(facet, block.tokens(facet.keys)).values()
        ]

    def rest(self, keys: Sequence[str]) -> list[Value]:
        """Give what tells trials apart that agree in `keys`: equal for equal other settings."""
        found: dict[int, Value] = {}
        kinds: dict[Value, int] = {}  # a small number is hashed faster than a whole base
        for block in self._blocks:
            others = sorted(block.varied.difference(keys))
            fixed = tuple(
                (key, repr(value))
                for key, value in sorted(block.flat.items())
                if key not in keys and key not in block.varied
            )
            kind = kinds.setdefault((block.types(others), fixed), len(kinds))
            for place, token in zip(block.places, block.tokens(others), strict=True):
                found[place] = (kind, token)
        return [found[place] for place in range(len(self.trials))]


class _Block:
    """Trials of one base that set the same keys."""

    def __init__(self, flat: Flat, varied: frozenset[str]) -> None:
        self.flat = flat
        self.varied = varied
        self.places: list[int] = []
        self.values: list[Mapping[str, Value]] = []
        self._columns: dict[str, _Column] = {}

    def tokens(self, keys: Sequence[str]) -> list[Value]:
        own = [self._column(key).tokens for key in keys if key in self.varied]
        return list(zip(*own, strict=True)) if own else [()] * len(self.values)

    def types(self, keys: Sequence[str]) -> tuple[tuple[str, str], ...]:
        return tuple((key, self._column(key).type) for key in keys)

    def _column(self, key: str) -> _Column:
        if key not in self._columns:
            self._columns[key] = _column([values[key] for values in self.values])
        return self._columns[key]

    def answers(self, facet: Facet[T], tokens: Sequence[Value]) -> dict[Value, T]:
        example = dict(zip(tokens, self.values, strict=True))
        fixed = {key: self.flat[key] for key in facet.keys if key in self.flat}
        answers: dict[Value, T] = {}
        for token, values in example.items():
            own = {key: values[key] for key in facet.keys if key in values}
            answers[token] = facet.of({**fixed, **own})
        return answers


@dataclass(frozen=True, slots=True)
class _Column:
    """One varied setting of a block, as something that can be hashed."""

    type: str
    tokens: Sequence[Value]


def _column(values: Sequence[Value]) -> _Column:
    # 1, 1.0 and True are equal to Python, but not to a schema; lists cannot be hashed.
    types = set(map(type, values))
    if len(types) == 1 and types <= {bool, int, float, str}:
        return _Column(types.pop().__name__, values)
    return _Column("", list(map(repr, values)))


def hashable(value: Value) -> Value:
    """Turn lists, at any depth, into tuples."""
    return tuple(hashable(item) for item in value) if isinstance(value, list) else value
