import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import BadInput, CorruptPlan
from sweep.plan.selection import (
    Confirm,
    fresh_seeds,
    read_confirm,
    select,
    selection_from_bytes,
    selection_to_bytes,
    with_seeds,
)
from sweep.plan.trial import Trial


def test_three_by_five_is_read() -> None:
    assert read_confirm("3x5") == Confirm(best=3, seeds=5)
    assert read_confirm(" 10 X 7 ") == Confirm(best=10, seeds=7)
    assert read_confirm("5x1") == Confirm(best=5, seeds=1)
    assert read_confirm(None) is None


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("five", "write KxN"),
        ("3x0", "at least 1"),
        ("1x5", "at least 2"),
        ("3", "write KxN"),
        ("-3x5", "write KxN"),
    ],
)
def test_what_decides_nothing_is_refused(words: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        read_confirm(words)


def test_fresh_seeds_are_those_that_no_trial_had() -> None:
    assert fresh_seeds([0, 2, 0], 3) == (1, 3, 4)
    assert fresh_seeds([], 2, first=100) == (100, 101)


def test_every_candidate_gets_the_same_seeds_and_trials_of_its_own() -> None:
    found = select([(4, 1), (7,)], seeds=(8, 9), first_number=20)

    assert [item.screened for item in found.candidates] == [(1, 4), (7,)]
    assert [item.fresh for item in found.candidates] == [(20, 21), (22, 23)]
    assert found.fresh == {20, 21, 22, 23}


def test_a_trial_is_made_again_once_a_seed() -> None:
    trial = Trial(3, 0, {"optim.lr": 0.1, "train.seed": 0})

    made = with_seeds(trial, key="train.seed", seeds=(5, 6), first_number=9)

    assert made == [
        Trial(9, 0, {"optim.lr": 0.1, "train.seed": 5}),
        Trial(10, 0, {"optim.lr": 0.1, "train.seed": 6}),
    ]


@given(
    st.lists(st.sets(st.integers(0, 99), min_size=1), min_size=2, max_size=5),
    st.lists(st.integers(0, 99), min_size=5, max_size=8, unique=True),
)
def test_a_selection_is_read_back_as_written(best: list[set[int]], seeds: list[int]) -> None:
    selection = select([tuple(item) for item in best], seeds=seeds, first_number=100)

    assert selection_from_bytes(selection_to_bytes(selection), where="here") == selection
    assert len(selection.fresh) == len(best) * len(seeds)


@pytest.mark.parametrize("data", [b"no", b"{}", b'{"format": 9}', b'{"format": 1, "seeds": 3}'])
def test_a_damaged_selection_is_named(data: bytes) -> None:
    with pytest.raises(CorruptPlan, match="here"):
        selection_from_bytes(data, where="here")
