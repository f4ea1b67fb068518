from __future__ import annotations

import io

from rich.console import Console

from sweep.study.backtesting import by_step, table

FOUND = {
    "metric": "mse",
    "origins": [
        {"known": 6984, "tested": 582, "scores": {"network": 0.08, "ridge": 0.06}},
        {"known": 7566, "tested": 582, "scores": {"network": 0.12, "ridge": 0.1}},
    ],
    "by_step": [0.01 * step for step in range(1, 25)],
}


def shown(found: dict[str, object]) -> str:
    console = Console(file=io.StringIO(), width=100, color_system=None)
    with console.capture() as capture:
        console.print(table(found))
    return capture.get()


def test_each_origin_has_a_row_and_their_mean_the_last() -> None:
    lines = [line.split() for line in shown(FOUND).splitlines() if line.strip()]

    assert ["6,984", "582", "0.08", "0.06"] in lines
    assert lines[-1] == ["mean", "0.1", "0.08"]


def test_an_origin_that_diverged_is_said_and_has_no_mean() -> None:
    nan = {"known": 7, "tested": 5, "scores": {"network": float("nan"), "ridge": 0.1}}

    text = shown({**FOUND, "origins": [nan, nan]})

    assert text.count("diverged") == 3


def test_the_error_by_step_names_the_first_and_the_last() -> None:
    line = by_step(FOUND, most=3)

    assert line == "MSE by step ahead: 1: 0.01, 13: 0.13, 24: 0.24"
    assert by_step({**FOUND, "by_step": []}) == ""
