"""What a trial is, told by its content: the same is known again, anything else is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_builders import completed, make_trial, records

from sweep.app import APPLICATION
from sweep.errors import CorruptPlan
from sweep.plan.application import Application
from sweep.plan.facets import Facet, Flat
from sweep.plan.reuse import (
    contents_from_bytes,
    contents_of,
    contents_to_bytes,
    context_of,
    is_pure,
    matches,
    taken_over,
)
from sweep.plan.trial import Record, Trial, from_json, to_json

DIGEST = "registry/trainer@sha256:" + "ab" * 32
BASE = {"x": 1.0, "layers": 1, "dropout": 0.1, "note": "a", "data.path": "a.csv"}


def effect(config: Flat) -> Hashable:
    return (config["layers"], config["dropout"] if config["layers"] > 1 else None)


def data(config: Flat) -> Mapping[str, str]:
    return {"file": {"a.csv": "1", "copy-of-a.csv": "1", "b.csv": "2"}[config["data.path"]]}


APP: Application = dataclasses.replace(
    APPLICATION,
    effect=Facet(("layers", "dropout", "note"), effect),
    data=Facet(("data.path",), data),
    paths=("data.path",),
)


def content(base: Mapping[str, Any] = BASE, **values: Any) -> str | None:
    trial = Trial(3, 0, {key.replace("__", "."): value for key, value in values.items()})
    return contents_of([base], [trial], application=APP).get(3)


def test_a_value_counts_wherever_it_is_set() -> None:
    assert content(x=2.0) == content({**BASE, "x": 2.0})


@pytest.mark.parametrize(
    "other",
    [{"x": 2.0}, {"x": 1}, {"x": True}, {"x": "1.0"}, {"layers": 2}, {"data__path": "b.csv"}],
)
def test_another_setting_type_or_data_is_another_content(other: dict[str, Any]) -> None:
    assert content(**other) not in (None, content())


@pytest.mark.parametrize("same", [{"dropout": 0.5}, {"note": "b"}, {"data__path": "copy-of-a.csv"}])
def test_what_has_no_effect_is_no_other_content(same: dict[str, Any]) -> None:
    assert content(**same) == content()


@pytest.mark.parametrize(
    "value",
    [
        "${now:%H}",
        "${oc.env:HOME}",
        "a-${oc.env:X,1}",
        "${hydra:job.num}",
        "${hydra.job.num}",
        "${my_resolver:1}",
        "${oc.select:${now:%H}}",
        ["a", "${now:%H}"],
        {"a": "${oc.env:X}"},
    ],
)
def test_what_depends_on_more_than_its_configuration_is_never_known_again(value: object) -> None:
    assert not is_pure(value)
    assert content(x=value) is None
    assert content({**BASE, "x": value}) is None
    assert content({**BASE, "x": value}, x=1.0) == content()


@pytest.mark.parametrize(
    "value", ["${x}", "${data.path}", "${oc.select:a}", "${oc.dict.keys:a}", "now", "$x", None, 1]
)
def test_what_refers_to_the_configuration_alone_is_known_again(value: object) -> None:
    assert is_pure(value)


def test_an_impure_setting_without_effect_is_no_hindrance() -> None:
    assert content({**BASE, "note": "${oc.env:USER}"}) == content()


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 3) | st.floats(0, 3), min_size=1))
def test_equal_contents_are_equal_settings(settings: dict[str, Any]) -> None:
    first = contents_of([{**BASE, **settings}], [make_trial(0)], application=APP)
    trial = Trial(0, 0, settings)
    second = contents_of([{**BASE, **dict.fromkeys(settings, 9)}], [trial], application=APP)

    assert first == second


def test_without_code_that_is_pinned_nothing_is_known_again() -> None:
    def context(**changes: Any) -> str | None:
        told = {"task": "a:f", "image": None, "bundle": None, "surroundings": {}, **changes}
        return context_of(**told)

    assert context() is None
    assert context(image="registry/trainer:latest") is None
    assert context(image="registry/trainer@sha256:abc") is None
    pinned = context(image=DIGEST)
    assert pinned is not None
    others = [
        context(image="registry/trainer:latest", bundle="1"),
        context(image=DIGEST, bundle="1"),
        context(image=DIGEST, bundle="2"),
        context(image=DIGEST, task="a:g"),
        context(image=DIGEST, surroundings={"gpu": "nvidia.com/gpu"}),
    ]
    assert len({pinned, *others}) == 6


def test_a_list_of_contents_is_read_back_the_first_trial_of_each() -> None:
    written = contents_to_bytes({4: "aa", 5: "bb", 6: "aa"})

    assert contents_from_bytes(written, where="w") == {"aa": 4, "bb": 5}


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"format": 1, "contents": {"x": "a"}}'])
def test_a_broken_list_is_named(data: bytes) -> None:
    with pytest.raises(CorruptPlan, match=r"^where: "):
        contents_from_bytes(data, where="where")


def test_a_list_of_another_format_knows_nothing() -> None:
    assert contents_from_bytes(b'{"format": 2}', where="w") == {}


def test_trials_are_paired_once() -> None:
    pairs = matches({0: "a", 1: "b", 2: "c"}, {"a": 7, "c": 9}, done={2})

    assert list(pairs) == [(0, 7)]


@given(records.map(lambda record: dataclasses.replace(record, reused_from=None)))
def test_a_record_that_is_taken_over_cost_nothing_and_says_where_it_is_from(old: Record) -> None:
    taken = taken_over(old, study="s-1", trial=5, round_number=2)

    assert from_json(to_json(taken)) == taken
    assert (taken.trial, taken.round, taken.attempt) == (5, 2, 0)
    assert taken.cpu_seconds == taken.gpu_seconds == taken.attempt_cpu_seconds == 0
    assert taken.reused_from == f"s-1/{old.trial}"
    assert (taken.objective, taken.metrics, taken.history, taken.value, taken.device) == (
        old.objective,
        old.metrics,
        old.history,
        old.value,
        old.device,
    )


def test_the_study_that_trained_a_record_is_named_through_any_number_of_studies() -> None:
    once = taken_over(completed(1), study="a", trial=2, round_number=1)

    assert taken_over(once, study="b", trial=3, round_number=1).reused_from == "a/1"
