import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from plan_builders import make_round, make_study, make_trial, rounds, studies

from sweep.errors import BadInput, CorruptPlan
from sweep.plan.round import (
    STUDY_NAME,
    Round,
    Study,
    all_trials,
    check_study_name,
    digest,
    round_from_bytes,
    round_hash,
    round_to_bytes,
    set_values,
    study_from_bytes,
    study_name,
    study_to_bytes,
)

WHERE = "file:///store/s/rounds/0001.json"
Read = Callable[[bytes], Any]


def read_round(data: bytes) -> Round:
    return round_from_bytes(data, where=WHERE)


def read_study(data: bytes) -> Study:
    return study_from_bytes(data, where=WHERE)


SMALL = make_round(trials=[make_trial(0, lr=0.5), make_trial(1, lr=1e-5)])
FILES: list[tuple[Read, bytes]] = [
    (read_round, round_to_bytes(SMALL)),
    (read_study, study_to_bytes(make_study(overrides=("lr=0.5,1e-5",)))),
]
both = pytest.mark.parametrize(("read", "data"), FILES, ids=["round", "study"])


def same_json(one: bytes, other: bytes) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


@given(studies)
def test_a_study_comes_back_as_it_was_written(study: Study) -> None:
    assert read_study(study_to_bytes(study)) == study


@given(rounds)
def test_a_round_comes_back_as_it_was_written(round_: Round) -> None:
    assert read_round(round_to_bytes(round_)) == round_


@given(rounds)
def test_a_round_says_the_same_in_the_same_bytes(round_: Round) -> None:
    again = read_round(round_to_bytes(round_))

    assert round_to_bytes(again) == round_to_bytes(round_)


def test_a_round_says_which_packs_are_fused_only_where_some_are() -> None:
    plain, fused = SMALL, replace(SMALL, packs=[replace(SMALL.packs[0], fused=True)])

    assert "fused" not in json.loads(round_to_bytes(plain))
    assert read_round(round_to_bytes(fused)) == fused


@both
@given(data_=st.data())
def test_any_change_is_noticed(read: Read, data: bytes, data_: st.DataObject) -> None:
    place = data_.draw(st.integers(0, len(data) - 1))
    byte = data_.draw(st.integers(0, 255))
    assume(byte != data[place])
    changed = data[:place] + bytes([byte]) + data[place + 1 :]

    if not same_json(changed, data):  # such as 1E-05 for 1e-05
        with pytest.raises(CorruptPlan, match=WHERE):
            read(changed)


@both
def test_a_file_cut_short_anywhere_names_its_path(read: Read, data: bytes) -> None:
    for length in range(len(data)):
        with pytest.raises(CorruptPlan, match=WHERE):
            read(data[:length])


@both
def test_an_unknown_format_says_so(read: Read, data: bytes) -> None:
    body = json.loads(data) | {"format": 2}

    with pytest.raises(CorruptPlan, match=r"0001\.json: format 2, this version reads format 1"):
        read(json.dumps(body).encode())


@both
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[]", b"null", b'{"format": 1}'])
def test_another_file_in_its_place_names_its_path(read: Read, data: bytes, content: bytes) -> None:
    with pytest.raises(CorruptPlan, match=WHERE):
        read(content)


def test_a_hash_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 1.0})


def test_values_are_set_on_a_copy() -> None:
    config = {"optim": {"lr": 0.1, "schedule": {"name": "step"}}, "seed": 0}

    tree = set_values(config, {"optim.lr": 0.5, "optim.schedule.name": "cosine", "seed": 3})

    assert tree == {"optim": {"lr": 0.5, "schedule": {"name": "cosine"}}, "seed": 3}
    assert config == {"optim": {"lr": 0.1, "schedule": {"name": "step"}}, "seed": 0}


def test_a_trial_is_as_its_newest_round_has_it() -> None:
    first = make_round(
        1, trials=[make_trial(0, x=1), make_trial(1, base=1, x=2)], bases=[{"a": 1}, {"a": 2}]
    )
    second = make_round(2, trials=[make_trial(1, x=2), make_trial(2, x=3)], bases=[{"a": 2}])

    bases, trials = all_trials([first, second])

    assert [trial.number for trial in trials] == [0, 1, 2]
    assert [bases[trial.base].config for trial in trials] == [{"a": 1}, {"a": 2}, {"a": 2}]
    assert [trial.base for trial in trials] == [0, 2, 2]


@given(st.text())
def test_any_job_gives_a_study_a_name_that_kubernetes_accepts(job: str) -> None:
    name = study_name(job, stamp="20261122-170100", tail="3f2a")

    assert STUDY_NAME.fullmatch(name)
    assert name.endswith("-20261122-170100-3f2a")


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "1a", "a" * 41, "a\n", "../a"])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match=r"hydra\.launcher\.study"):
        check_study_name(name)


@pytest.mark.parametrize("name", ["a", "forecast-3f2a", "a" * 40])
def test_a_label_is_a_name(name: str) -> None:
    assert check_study_name(name) == name


def test_a_round_without_files_of_its_own_is_written_as_before_there_were_any() -> None:
    file = {"a.csv": {"sha256": "0" * 64, "size": 1}}
    with_one = replace(SMALL, files=file)

    assert "files" not in json.loads(round_to_bytes(SMALL))
    assert read_round(round_to_bytes(with_one)).files == file
    assert round_hash(with_one) != round_hash(SMALL)
