"""What the tests of the array share: a queue of trials, and what came of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from sweep.plan.application import Decision
from sweep.plan.settings import Settings
from sweep.train.array.running import Entry
from sweep.train.array.training import Trainer
from sweep.train.loop import Trained
from sweep.train.story import Epoch

Outcome = Trained | Exception


@dataclass
class Line:
    """A queue of trials; `decisions` says what becomes of a trial after an epoch."""

    configs: Sequence[Settings]
    checkpoints: dict[int, Any] = field(default_factory=dict)
    decisions: dict[tuple[int, int], Decision] = field(default_factory=dict)
    asks: Callable[[], bool] = lambda: False
    after_keeping: Callable[[], None] = lambda: None
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    told: dict[int, list[int]] = field(default_factory=dict)
    given: int = 0

    def left(self) -> int:
        return len(self.configs) - self.given

    def next(self) -> Entry | None:
        if not self.left():
            return None
        number = self.given
        self.given += 1

        def tell(epoch: Epoch) -> Decision:
            self.told.setdefault(number, []).append(epoch.number)
            return self.decisions.get((number, epoch.number), Decision.GO_ON)

        return Entry(
            settings=self.configs[number],
            on_epoch=tell,
            checkpoints=self.checkpoints.get(number),
            ended=lambda outcome: self.outcomes.update({number: outcome}),
        )

    def wanted(self) -> bool:
        return self.asks()

    def kept(self) -> None:
        self.after_keeping()

    def run(self, **options: Any) -> list[Outcome]:
        Trainer(self, **options).run()
        return [self.outcomes[number] for number in range(len(self.configs))]


def trained_in(configs: Sequence[Settings], **options: Any) -> list[Trained]:
    """Train all at once; none may fail."""
    found = Line(configs).run(**options)
    for each in found:
        if isinstance(each, Exception):
            raise each
    return found  # type: ignore[return-value]


def bits(trained: Trained) -> object:
    """All that a trial came to, to compare to the last bit."""
    weights = {name: values.tobytes() for name, values in trained.weights.items()}
    return trained.state, trained.objective, trained.metrics, trained.history, weights


def assert_close(ours: Trained, theirs: Trained, *, tolerance: float) -> None:
    """Equal decisions, and numbers that agree within a relative tolerance."""
    assert (ours.state, ours.failure) == (theirs.state, theirs.failure)
    assert ours.metrics["epochs"] == theirs.metrics["epochs"]
    assert ours.metrics.get("best_epoch") == theirs.metrics.get("best_epoch")
    assert ours.history.keys() == theirs.history.keys()
    assert ours.history["lr"] == theirs.history["lr"]
    for name in ("train_loss", "val_loss"):
        np.testing.assert_allclose(ours.history[name], theirs.history[name], rtol=tolerance)
    assert ours.weights.keys() == theirs.weights.keys()
    for name, values in theirs.weights.items():
        assert ours.weights[name].dtype == values.dtype
        scale = max(1e-2, float(np.abs(values).max()))
        np.testing.assert_allclose(ours.weights[name], values, atol=tolerance * scale, rtol=0)


@pytest.fixture(autouse=True)
def _as_wide_as_asked(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """Fail a test whose array went on narrower, since company changed a lane's bits.

    A trial alone disturbs nobody: what the tests of lanes look for would never be seen.
    """
    yield
    if request.module.__name__ != "test_probe":
        said = [record.getMessage() for record in caplog.get_records("call")]
        assert not [each for each in said if "depend on" in each]


@pytest.fixture(scope="session")
def queue_of() -> Callable[..., Line]:
    return Line


@pytest.fixture(scope="session")
def train_at_once() -> Callable[..., list[Trained]]:
    return trained_in


@pytest.fixture(scope="session")
def close() -> Callable[..., None]:
    return assert_close


@pytest.fixture(scope="session")
def bits_of() -> Callable[[Trained], object]:
    return bits
