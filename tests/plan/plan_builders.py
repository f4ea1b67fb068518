"""Build plans and records by hand, and draw random ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from sweep.plan.packing import Pack
from sweep.plan.round import Base, Round, Study
from sweep.plan.trial import Failure, Record, State, Trial

words = st.text(max_size=4)
numbers = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers() | numbers | words
values = scalars | st.lists(scalars, max_size=3)
keys = st.sampled_from(["lr", "optim.name", "data.target", "größe", "x"])
counts = st.integers(0, 10**6)
states = st.sampled_from(State)

failures = st.builds(Failure, words, words, words, words)
records = st.builds(
    Record,
    trial=counts,
    state=states,
    objective=st.none() | numbers,
    metrics=st.dictionaries(words, numbers, max_size=3),
    history=st.dictionaries(words, st.lists(st.none() | numbers, max_size=3), max_size=2),
    error=st.none() | failures,
    attempt=counts,
    pack=counts,
    round=counts,
    started=numbers,
    finished=numbers,
    cpu_seconds=numbers,
    gpu_seconds=numbers,
    attempt_cpu_seconds=numbers,
    attempt_gpu_seconds=numbers,
    continued=st.none() | words,
    device=words,
    versions=st.dictionaries(words, words, max_size=2),
    value=values,
    weights=st.none() | words,
    reused_from=st.none() | words,
)
studies = st.builds(
    Study,
    name=words,
    created=numbers,
    task=words,
    job=words,
    directory=words,
    direction=st.sampled_from(["minimize", "maximize"]),
    objective=words,
    overrides=st.lists(words, max_size=3).map(tuple),
    grid=st.dictionaries(keys, st.lists(values, max_size=3), max_size=3),
    limits=st.dictionaries(keys, scalars, max_size=2),
    tracking=st.dictionaries(keys, scalars, max_size=2),
    facts=st.dictionaries(keys, st.dictionaries(keys, scalars, max_size=2), max_size=2),
)
trials = st.builds(
    Trial, counts, st.integers(0, 3), st.dictionaries(keys, values, max_size=4), st.none() | counts
)
trees = st.dictionaries(keys, values | st.dictionaries(keys, values, max_size=2), max_size=3)
rounds = st.builds(
    Round,
    number=counts,
    bases=st.lists(st.builds(Base, st.lists(words, max_size=2).map(tuple), trees), max_size=2),
    trials=st.lists(trials, max_size=6),
    packs=st.lists(st.builds(Pack, counts, st.lists(counts, max_size=4).map(tuple)), max_size=3),
)


def make_trial(number: int = 0, *, base: int = 0, **values: Any) -> Trial:
    return Trial(number, base, values)


def make_study(name: str = "forecast-1", **changes: Any) -> Study:
    return Study(name=name, **{"created": 0.0, "task": "app:train", "job": "forecast", **changes})


def make_round(
    number: int = 1,
    *,
    trials: Sequence[Trial],
    bases: Sequence[Mapping[str, Any]] = ({"lr": 0.1},),
) -> Round:
    packs = [Pack(0, tuple(trial.number for trial in trials))]
    return Round(
        number=number, bases=[Base((), config) for config in bases], trials=trials, packs=packs
    )


def completed(trial: int = 0, objective: float = 0.5, **more: Any) -> Record:
    return Record(trial, State.COMPLETED, objective, **more)
