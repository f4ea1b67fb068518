"""Take time, and power, on a device that works on while it is asked."""

from __future__ import annotations

import gc
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

import torch

from lanes.shapes import ROWS, VALIDATION

ROUNDS, ROUNDS_OF_SMOKE = 5, 2


@dataclass
class Contender:
    """Something that takes steps of some trials at once."""

    trials: int
    step: Callable[[], None]
    set_up_s: float = 0.0


class TimeUp(RuntimeError):
    """Tell that a shape has had its share of the time."""


class Bench:
    """The device, and how time is taken on it."""

    until = float("inf")  # by time.monotonic, for the shape under way

    def __init__(self, *, smoke: bool) -> None:
        self.smoke = smoke
        self.cuda = not smoke
        self.place = torch.device("cuda" if self.cuda else "cpu")
        self.rows, self.validation = (80, 20) if smoke else (ROWS, VALIDATION)
        self.round_s = 0.02 if smoke else 0.25

    def check(self) -> None:
        """Raise TimeUp where nothing more is to be begun for this shape."""
        if time.monotonic() > self.until:
            raise TimeUp("this shape has had its share of the time")

    def wait(self) -> None:
        """Wait until the device has done all that was asked of it."""
        if self.cuda:
            torch.cuda.synchronize()

    def seconds(self, work: Callable[[], None], times: int) -> float:
        """Time some repetitions, until the device is done."""
        self.wait()
        begun = time.perf_counter()
        for _ in range(times):
            work()
        self.wait()
        return time.perf_counter() - begun

    def each(self, contenders: Mapping[str, Contender]) -> dict[str, list[float]]:
        """Time all in turn, in rounds of swapped order: seconds a trial-step."""
        times: dict[str, int] = {}
        rounds = ROUNDS_OF_SMOKE if self.smoke else ROUNDS
        left = max(0.0, self.until - time.monotonic()) / (2 * rounds * max(1, len(contenders)))
        for name, own in contenders.items():
            own.step()
            once = self.seconds(own.step, 2) / 2
            times[name] = max(1, min(100, int(min(self.round_s, left) / max(once, 1e-6))))
        found: dict[str, list[float]] = {name: [] for name in contenders}
        for number in range(rounds):
            names = list(contenders)[:: 1 if number % 2 else -1]
            for name in names:
                own = contenders[name]
                took = self.seconds(own.step, times[name])
                found[name].append(took / times[name] / own.trials)
        return found

    def clear(self) -> None:
        """Give memory back."""
        gc.collect()
        if self.cuda:
            torch.cuda.empty_cache()


@contextmanager
def left_out(name: str, result: dict[str, Any]) -> Iterator[None]:
    """Note why a contender cannot be had here, and let the others go on."""
    try:
        yield
    except (RuntimeError, NotImplementedError) as error:  # out of memory is a RuntimeError
        result.setdefault("left_out", {})[name] = f"{type(error).__name__}: {error}"[:500]


@contextmanager
def watts(bench: Bench) -> Iterator[list[float]]:
    """Sample the power that the driver tells, every quarter of a second."""
    drawn: list[float] = []
    over = Event()
    command = ["nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits"]

    def sample() -> None:
        while not over.wait(0.25):
            try:
                told = subprocess.run(command, capture_output=True, text=True, check=True)
                drawn.append(float(told.stdout.splitlines()[0]))
            except (OSError, ValueError, IndexError, subprocess.SubprocessError):
                return

    thread = Thread(target=sample)
    if bench.cuda:
        thread.start()
    yield drawn
    over.set()
    if bench.cuda:
        thread.join()


def memory() -> float:
    """Count the bytes of the device."""
    return float(torch.cuda.get_device_properties(0).total_memory)
