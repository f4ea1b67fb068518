"""Replay Ray Tune's ASHA, in the environment that has it; a recording on standard input.

Its scheduler decides, with the numbers that its tuner would hand it; the clock is the recording's,
so Ray's own processes are not started.
"""

from __future__ import annotations

import json
import random
import sys
from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import ASHAScheduler, TrialScheduler


def race(given: dict[str, Any], number: int) -> list[tuple[float, float]]:
    """Race it once: random configurations, stopped where the scheduler says so."""
    epochs, budget_s = given["epochs"], given["budget_s"]
    role = given["roles"][number % len(given["roles"])]
    worth, curves = role["worth"], given["curves"][role["seen"]]
    scheduler = ASHAScheduler(
        time_attr="epoch", metric="loss", mode="min", max_t=epochs, grace_period=1,
        reduction_factor=given["factor"],
    )  # fmt: skip
    order = list(range(len(worth)))
    random.Random(number).shuffle(order)
    spent, best, steps = 0.0, float("inf"), []
    for place in order:
        if spent >= budget_s:
            break
        trial = SimpleNamespace(trial_id=str(place), stub=False)
        scheduler.on_trial_add(None, trial)
        for epoch in range(1, epochs + 1):
            spent += curves[place]["cpu_s"][epoch - 1]
            loss = curves[place]["val"][epoch - 1]
            if loss < best:
                best = loss
                steps.append((spent, worth[place][epoch - 1]))
            result = {"epoch": epoch, "loss": min(curves[place]["val"][:epoch])}
            if epoch == epochs:
                scheduler.on_trial_complete(None, trial, result)
            elif scheduler.on_trial_result(None, trial, result) == TrialScheduler.STOP:
                break
    return steps


def main() -> None:
    """Race as often as asked, and print what each replay showed."""
    given = json.load(sys.stdin)
    print(json.dumps([race(given, number) for number in range(given["repeats"])]))


if __name__ == "__main__":
    main()
