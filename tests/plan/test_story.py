"""A search's definition and its story, as the store has them."""

import json

import pytest

from sweep.errors import CorruptPlan
from sweep.plan.story import (
    Begun,
    Decided,
    Search,
    Story,
    search_from_bytes,
    search_to_bytes,
    story_from_bytes,
    story_to_bytes,
)

DECIDED = Decided("rate", 3, "Use 0.0001 to 0.01.", {"trials": [0, 1], "costs": [2.0, None]}, "x=1")


def test_a_story_is_read_back_as_it_was_written() -> None:
    story = Story(begun=(Begun({"x": 1}, (0, 1)),), elapsed_s=2.5).telling([DECIDED])

    found = story_from_bytes(story_to_bytes(story), where="here")

    assert found == story
    assert found.decisions[0].begun == 1


def test_what_was_told_once_keeps_its_place() -> None:
    early = Story().telling([DECIDED])

    late = Story(begun=(Begun({}, (0,)),), decisions=early.decisions).telling([DECIDED, DECIDED])

    assert [item.begun for item in late.decisions] == [0, 1]


def test_a_search_is_read_back_as_it_was_written() -> None:
    search = Search(strategy="tpe", space={"axes": {}}, options={"max_trials": 3}, seeds=(0, 1))

    assert search_from_bytes(search_to_bytes(search), where="here") == search


def test_what_a_newer_version_adds_is_passed_over() -> None:
    body = json.loads(story_to_bytes(Story(decisions=(DECIDED,))))
    body["mood"] = body["decisions"][0]["mood"] = "good"

    assert story_from_bytes(json.dumps(body).encode(), where="here").decisions == (DECIDED,)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"format": 9}', b'{"format": 1, "begun": [3]}'])
def test_what_is_no_story_is_named(data: bytes) -> None:
    with pytest.raises(CorruptPlan, match="there"):
        story_from_bytes(data, where="there")
