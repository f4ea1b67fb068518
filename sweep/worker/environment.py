"""Read from a pod's environment what its worker has to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sweep.cluster.cpus import whole_cpus
from sweep.errors import BadInput
from sweep.worker.notice import GRACE, GRACE_S, seconds

WIDTH = "SWEEP_WIDTH"  # trials at a time, where it is to be fewer than there are processors
DEVICES = Path("/dev")


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What the environment of a pod says."""

    address: str
    study: str
    round_number: int
    index: int  # of the pack within the round
    expected_hash: str | None
    grace_s: float
    width: int
    gpus: int


def read_orders(env: Mapping[str, str]) -> Orders:
    """Read what the environment says.

    Raises BadInput, naming the variable.
    """
    gpus = len([path for path in DEVICES.glob("nvidia*") if path.name[6:].isdigit()])
    most = _number(env, WIDTH) if env.get(WIDTH) else whole_cpus()
    return Orders(
        address=_needed(env, "SWEEP_STORE"),
        study=_needed(env, "SWEEP_STUDY"),
        round_number=_number(env, "SWEEP_ROUND"),
        index=_number(env, "JOB_COMPLETION_INDEX"),
        expected_hash=env.get("SWEEP_ROUND_HASH") or None,
        grace_s=seconds(env, GRACE, GRACE_S),
        width=max(1, 1 if gpus else most),  # trials in turn have a GPU's whole memory
        gpus=gpus,
    )


def _needed(env: Mapping[str, str], name: str) -> str:
    value = env.get(name)
    if not value:
        raise BadInput(f"{name} is not set; a worker needs it to find its pack")
    return value


def _number(env: Mapping[str, str], name: str) -> int:
    text = _needed(env, name)
    try:
        return int(text)
    except ValueError:
        raise BadInput(f"{name}={text}: must be a whole number") from None
