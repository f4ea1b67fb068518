"""Compare validation scores of the same configurations in bfloat16 and in float32."""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import replace
from typing import Any

from sweep.plan.settings import Data, Model, Optim, Settings, Train
from sweep.train.array.running import Entry
from sweep.train.array.training import Trainer
from sweep.train.loop import Trained

RATES = (3e-4, 1e-3, 3e-3, 1e-2)


class _Line:
    def __init__(self, configs: list[Settings]) -> None:
        self.waiting = deque(configs)
        self.found: list[Trained | Exception] = []

    def left(self) -> int:
        return len(self.waiting)

    def next(self) -> Entry | None:
        if not self.waiting:
            return None
        return Entry(settings=self.waiting.popleft(), ended=self.found.append)

    def wanted(self) -> bool:
        return False

    def kept(self) -> None:
        return None


def change_of_scores(*, device: str, count: int) -> dict[str, Any]:
    """Train `count` configurations twice; give the relative changes of their best score."""
    small = count < 20
    objectives: dict[str, list[float]] = {}
    for precision in ("float32", "bfloat16"):
        line = _Line([_config(n, precision, device, small=small) for n in range(count)])
        Trainer(line).run()
        own = {}
        for each in line.found:
            if isinstance(each, Exception):
                raise each
            own[len(own)] = each.objective
        objectives[precision] = [value for value in own.values() if value is not None]
    pairs = zip(objectives["bfloat16"], objectives["float32"], strict=True)
    changes = sorted(b / a - 1 for b, a in pairs)
    return {
        "configurations": count,
        "median_change": statistics.median(changes),
        "least_and_most": [changes[0], changes[-1]],
    }


def _config(number: int, precision: str, device: str, *, small: bool) -> Settings:
    base = Settings(
        data=Data(
            time="time_hour",
            target=["temp"],
            covariates=["dewp", "humid", "wind_speed", "pressure", "visib"],
            split=[200, 60, 60] if small else [0.7, 0.1, 0.2],
        ),
        model=Model(hidden_size=8 if small else 100, dropout=0.0),
        optim=Optim(lr=RATES[number % len(RATES)], clip_norm=1.0),
        train=Train(epochs=1 if small else 20, seed=number // len(RATES)),
    )
    # All stop at the same epoch, so that lanes end, and are told, in one order.
    own = replace(base.train, precision=precision, device=device, patience=None)  # type: ignore[arg-type]
    return replace(base, train=own)
