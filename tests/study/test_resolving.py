"""A configuration that holds no interpolation is given back as OmegaConf would give it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sweep.plan.round import set_values
from sweep.study.resolving import resolve

# Of what interpolations are made of, whole and in parts, escaped, and what only looks like one.
PARTS = ["$", "{", "}", "\\", "${known}", "\\${known}", "${nowhere}", "${", "???", "a", " ", "é"]
TEXTS = st.one_of(st.lists(st.sampled_from(PARTS), max_size=4).map("".join), st.text(max_size=5))
VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXTS)
KEYS = st.text("abcd", min_size=1, max_size=2)
TREES = st.dictionaries(
    KEYS,
    st.recursive(
        VALUES,
        lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


def by_omegaconf(tree: dict[str, Any]) -> object:
    return OmegaConf.to_container(OmegaConf.create(tree), resolve=True)


@given(tree=TREES, known=VALUES, text=TEXTS)
def test_it_is_what_omegaconf_makes_of_it(tree: dict[str, Any], known: Any, text: str) -> None:
    base = {**tree, "known": known, "own": {"text": "", "beside": 1}}
    values = {"own.text": text}
    try:
        expected = by_omegaconf(set_values(base, values))
    except OmegaConfBaseException as error:
        with pytest.raises(type(error)):
            resolve(base, values)
        return

    found = resolve(base, values)

    assert repr(found) == repr(expected)  # 1, 1.0 and True are equal, but not the same


@pytest.mark.parametrize("text", ["plain", "${known}"])
def test_what_a_trial_does_to_its_own_is_not_seen_by_the_next(text: str) -> None:
    base = {"text": text, "known": 1, "a": {"b": 1}, "c": [1, {"d": 2}]}
    values = {"a.b": [5]}
    before = copy.deepcopy((base, values))

    found = resolve(base, values)
    found["a"]["b"].append(6)
    found["c"][1]["d"] = 9

    assert (base, values) == before
