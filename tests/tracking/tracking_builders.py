"""Build studies, trials and records as the tracking room takes them."""

from __future__ import annotations

from typing import Any

from sweep.plan.trial import Record, State
from sweep.tracking.info import StudyInfo, Summary, TrialInfo
from sweep.tracking.names import run_name

STARTED = 1_795_000_000.0


def make_study(name: str = "forecast-3f2a", **changes: Any) -> StudyInfo:
    given: dict[str, Any] = {"job": "forecast", "started": STARTED, "objective": "val_mse"}
    return StudyInfo(id=name, **given | changes)


def make_trial(number: int = 0, *, lr: float = 1e-3, **changes: Any) -> TrialInfo:
    given: dict[str, Any] = {
        "name": run_name(number, varied={"optim.lr": lr}, total=10),
        "params": {"optim.lr": lr, "model.hidden_size": 50},
    }
    return TrialInfo(number=number, **given | changes)


def make_record(trial: int = 0, *, epochs: int = 3, **changes: Any) -> Record:
    losses = [round(0.5 / (epoch + 1), 6) for epoch in range(epochs)]
    given: dict[str, Any] = {
        "state": State.COMPLETED,
        "objective": min(losses, default=None),
        "metrics": {"best_epoch": float(epochs)},
        "history": {"val_mse": losses, "train_loss": losses},
        "started": STARTED + 10 * trial,
        "finished": STARTED + 10 * trial + 8,
    }
    return Record(trial=trial, **given | changes)


def make_trials(count: int, **changes: Any) -> list[tuple[TrialInfo, Record]]:
    return [(make_trial(n), make_record(n, **changes)) for n in range(count)]


def make_summary(**changes: Any) -> Summary:
    given: dict[str, Any] = {"state": "FINISHED", "at": STARTED + 100, "done": 1}
    return Summary(**given | changes)
