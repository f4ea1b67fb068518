import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.plan import layout
from sweep.plan.layout import ResultsFile

counts = st.integers(0, 10**7)


@given(counts, counts, counts)
def test_a_records_file_tells_whose_it_is(pack: int, attempt: int, part: int) -> None:
    key = layout.results_key(pack, attempt, part)

    assert layout.results_of(key) == ResultsFile(pack, attempt, part)
    assert layout.attempt_of(key) is None


@given(counts, counts)
def test_an_attempt_tells_its_number(pack: int, attempt: int) -> None:
    key = layout.attempt_key(pack, attempt)

    assert layout.attempt_of(key) == attempt
    assert layout.results_of(key) is None


@given(counts, counts)
def test_what_belongs_to_a_pack_lies_below_it(pack: int, attempt: int) -> None:
    prefix = layout.pack_prefix(pack)

    for key in (layout.results_key(pack, attempt), layout.log_key(pack)):
        assert key.startswith(prefix)
    assert not layout.log_key(pack + 1).startswith(prefix)


@pytest.mark.parametrize("key", ["packs/00000/log", "best.json", "packs/x/results-1-0001.jsonl"])
def test_other_objects_are_no_records(key: str) -> None:
    assert layout.results_of(key) is None
    assert layout.attempt_of(key) is None


def test_weights_are_told_from_models() -> None:
    assert layout.is_weights(layout.weights_key(7))
    assert not layout.is_weights(layout.model_prefix(7) + "forecaster.npz")
    assert not layout.is_weights(layout.model_prefix(7) + "weights")


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 99))
def test_a_checkpoint_s_key_tells_whose_it_is(trial: int, pack: int, attempt: int) -> None:
    key = layout.checkpoint_key(trial, pack=pack, attempt=attempt)

    assert layout.checkpoint_of(key) == (pack, attempt)
    assert key.startswith(layout.trial_prefix(trial))
    assert not layout.is_weights(key)
    assert layout.checkpoint_of(layout.weights_key(trial)) is None
