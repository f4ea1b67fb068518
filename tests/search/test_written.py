"""A space as JSON."""

import json

from hypothesis import given
from search_builders import spaces

from sweep.search.space import Space
from sweep.search.written import space_from_json, space_to_json


@given(spaces())
def test_a_space_is_read_back_as_it_was_written(space: Space) -> None:
    assert space_from_json(json.loads(json.dumps(space_to_json(space)))) == space
