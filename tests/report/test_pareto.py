from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from report_builders import by_trial, completed, make_board, make_trials

from sweep.report.pareto import Prices, find_prices


def priced(*own: tuple[float, float], direction: str = "minimize") -> Prices:
    """Price trials by CPU seconds; each is a price and a score."""
    trials = make_trials({"x": list(range(len(own)))})
    records = by_trial(*(completed(n, s, cpu_seconds=p) for n, (p, s) in enumerate(own)))
    [prices] = find_prices(make_board(trials, records, direction=direction), records=records)
    return prices


def test_the_front_holds_what_nothing_cheaper_equals() -> None:
    prices = priced((1, 0.5), (2, 0.4), (3, 0.45), (4, 0.1), (4, 0.2))

    assert [(item.price, item.score) for item in prices.front] == [(1, 0.5), (2, 0.4), (4, 0.1)]
    assert prices.front[-1].rank == 1
    assert prices.measure == "CPU seconds a trial"


def test_where_more_is_better_the_front_rises() -> None:
    prices = priced((1, 0.5), (2, 0.4), (3, 0.6), direction="maximize")

    assert [item.score for item in prices.front] == [0.5, 0.6]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=2, max_size=20))
def test_nothing_off_the_front_is_both_cheaper_and_better(own: list[tuple[int, int]]) -> None:
    if len({price for price, _ in own}) == 1:
        return
    prices = priced(*own)

    for item in prices.priced:
        assert any(f.price <= item.price and f.score <= item.score for f in prices.front)
    scores = [item.score for item in prices.front]
    assert scores == sorted(scores, reverse=True)


def test_gpu_seconds_are_the_price_where_a_gpu_was_held_and_parameters_are_another() -> None:
    trials = make_trials({"x": [0, 1]})
    sizes = {0: 5, 1: 15}
    records = by_trial(
        *(
            completed(n, 0.1 + n, metrics={"parameters": size}, gpu_seconds=n + 1)
            for n, size in sizes.items()
        )
    )

    found = find_prices(make_board(trials, records), records=records)

    assert [prices.measure for prices in found] == ["GPU seconds a trial", "parameters"]


def test_what_costs_the_same_everywhere_is_no_price() -> None:
    trials = make_trials({"x": [0, 1]})
    records = by_trial(*(completed(n, 0.1, cpu_seconds=2.0) for n in (0, 1)))

    assert find_prices(make_board(trials, records), records=records) == []


def test_operations_are_told_in_the_unit_of_the_dearest_trial() -> None:
    trials = make_trials({"x": [0, 1], "train.seed": [0, 1]})
    operations = (5e8, 7e8, 2e9, 4e9)  # two seeds of each configuration
    records = by_trial(
        *(
            completed(n, 0.5 - 0.1 * (n // 2), metrics={"flop": flop})
            for n, flop in enumerate(operations)
        )
    )

    [prices] = find_prices(make_board(trials, records), records=records)

    assert prices.measure == "GFLOP a trial"
    assert [(item.price, item.rank) for item in prices.front] == [(0.6, 2), (3.0, 1)]
