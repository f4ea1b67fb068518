from __future__ import annotations

import pytest

from sweep.report.formats import (
    count,
    decimals,
    show_flop,
    show_list,
    show_score,
    show_span,
    show_spread,
    show_value,
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1e-4, "0.0001"),
        (1e-5, "1e-05"),
        (0.0031234567, "0.0031235"),
        (200, "200"),
        (None, "none"),
        (True, "true"),
        ("adam", "adam"),
        (["temp", "dewp"], '["temp", "dewp"]'),
    ],
)
def test_a_value_is_written_as_a_person_would_type_it(value: object, shown: str) -> None:
    assert show_value(value) == shown


@pytest.mark.parametrize(
    ("best", "shown"),
    [(0.0812345, "0.08123"), (12.3456, "12.35"), (0.9, "0.9000"), (1500.2, "1500")],
)
def test_the_best_score_has_four_significant_digits(best: float, shown: str) -> None:
    assert show_score(best, places=decimals(best)) == shown


@pytest.mark.parametrize(
    ("score", "shown"), [(1.5e-9, "1.5e-09"), (2.5e12, "2.5e+12"), (0.0, "0.0000")]
)
def test_a_score_that_decimals_would_hide_is_written_in_powers_of_ten(
    score: float, shown: str
) -> None:
    assert show_score(score, places=4) == shown


def test_what_is_not_known_is_left_blank() -> None:
    assert show_score(None, places=4) == ""
    assert show_spread(None, places=4) == ""


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-3, "0 s"),
        (45.4, "45 s"),
        (60, "1 min"),
        (125, "2 min 5 s"),
        (4000, "1 h 6 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_span_of_time_has_two_units_at_most(seconds: float, shown: str) -> None:
    assert show_span(seconds) == shown


def test_words_are_joined_and_counted() -> None:
    assert show_list(["a", "b", "c"]) == "a, b and c"
    assert show_list(["a"]) == "a"
    assert (count(1, "trial"), count(62_208, "trial")) == ("1 trial", "62,208 trials")


@pytest.mark.parametrize(
    ("flop", "shown"),
    [(4e5, "0.4 MFLOP"), (9.99e11, "999 GFLOP"), (1e12, "1 TFLOP"), (2.5e20, "250 EFLOP")],
)
def test_operations_are_written_in_their_unit(flop: float, shown: str) -> None:
    assert show_flop(flop) == shown
