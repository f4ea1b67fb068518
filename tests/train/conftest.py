"""Builders that the training tests share: functions, handed over as fixtures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sweep.plan.settings import Data, Model, Optim, Settings, Train

WEATHER = ["dewp", "humid", "wind_speed", "pressure", "visib"]
Make = Callable[..., Settings]


def settings_of(
    *,
    data: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
    optim: dict[str, Any] | None = None,
    train: dict[str, Any] | None = None,
) -> Settings:
    """A tiny network on the first weeks of the JFK weather: an epoch takes some 20 ms."""
    return Settings(
        data=Data(
            **{
                "time": "time_hour",
                "target": ["temp"],
                "covariates": WEATHER,
                "lookback": 12,
                "horizon": 6,
                "split": [200, 60, 60],
            }
            | (data or {})
        ),
        model=Model(**{"hidden_size": 8} | (model or {})),
        optim=Optim(**{"lr": 1e-2} | (optim or {})),
        train=Train(**{"epochs": 3, "device": "cpu"} | (train or {})),
    )


def hourly(rows: int, *, start: int = 0) -> str:
    """A small file: an hourly time and two columns that no window repeats."""
    lines = ["time,a,b"]
    for row in range(start, start + rows):
        day, hour = divmod(row, 24)
        lines.append(f"2020-{1 + day // 28:02}-{1 + day % 28:02}T{hour:02}:00:00Z,{row},{row % 7}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def make_settings() -> Make:
    return settings_of


@pytest.fixture(scope="session")
def make_hourly() -> Callable[..., str]:
    return hourly


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(content: str | bytes, name: str = "data.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
