"""A trial that lost its worker goes on where it stood, and its numbers do not tell."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from lives import BEGUN, DONE, PAUSED, begun, lines, lstm, make_study, run, start, wait_until

from sweep.app import APPLICATION
from sweep.plan import layout
from sweep.plan.application import Result
from sweep.plan.exits import Exit
from sweep.plan.trial import Record
from sweep.store import Store
from sweep.worker import checkpoint

pytestmark = pytest.mark.slow  # each worker imports torch anew

Killed = subprocess.Popen[str]
# All pairs of them are in tests/train/test_checkpoint.py, within one process.
KINDS = [
    ("adam", "constant"),
    ("adamw", "step"),
    ("rmsprop", "exponential"),
    ("sgd", "cosine"),
    ("adam", "plateau"),
]
OFTEN = {"SWEEP_CHECKPOINT_S": "0.02"}


def make_lstm(folder: Path, *, trials: int = 1, **changes: Any) -> tuple[Store, dict[str, Any]]:
    base = lstm(**changes)
    place = make_study(folder, trials=trials, task="sweep.app:train", key="train.seed", base=base)
    return place, base


def undisturbed(base: dict[str, Any], *, seed: int = 0) -> Result:
    APPLICATION.warm()
    tree = {**base, "train": {**base["train"], "seed": seed}}
    return APPLICATION.run(tree, lambda _: None)


def same(record: Record, result: Result) -> bool:
    """Equal to the last bit."""
    return (record.state, record.objective, record.metrics, record.history) == (
        result.state,
        result.objective,
        result.metrics,
        result.history,
    )


def checkpoints(place: Store) -> list[str]:
    return [key for key in place.sizes(layout.TRIALS) if layout.checkpoint_of(key)]


def ended(place: Store, attempt: int) -> dict[int, Record]:
    return {record.trial: record for record in lines(place, attempt) if record.state.terminal}


def stop(worker: Killed) -> int:
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=30)
    return worker.returncode


@pytest.mark.parametrize(("optimizer", "schedule"), KINDS)
def test_told_to_stop_again_and_again_a_trial_ends_with_the_same_bits(
    tmp_path: Path, optimizer: str, schedule: str
) -> None:
    draw = random.Random(f"{optimizer} {schedule}")
    place, base = make_lstm(
        tmp_path,
        optim__name=optimizer,
        optim__lr=1e-3,
        optim__schedule__name=schedule,
        optim__schedule__patience=3,
        train__epochs=200,  # so that it is under way when it is told, on any machine
    )

    for attempt in (1, 2):
        worker = start(tmp_path)
        wait_until(begun(place, attempt), worker)
        time.sleep(draw.uniform(0.05, 0.4))
        assert stop(worker) == Exit.TOLD_TO_STOP
        assert checkpoints(place) == [layout.checkpoint_key(0, pack=0, attempt=attempt)]
    code, _ = run(tmp_path)

    record = ended(place, 3)[0]
    assert code == Exit.DONE
    assert same(record, undisturbed(base))
    assert record.continued == layout.checkpoint_key(0, pack=0, attempt=2)
    assert checkpoints(place) == []


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_killed_a_trial_goes_on_from_its_last_checkpoint(tmp_path: Path, optimizer: str) -> None:
    place, base = make_lstm(tmp_path, optim__name=optimizer, optim__lr=1e-3)
    worker = start(tmp_path, **OFTEN)
    wait_until(lambda: bool(checkpoints(place)), worker)
    time.sleep(0.2)

    worker.kill()
    worker.communicate()
    code, _ = run(tmp_path)

    record = ended(place, 2)[0]
    assert code == Exit.DONE
    assert same(record, undisturbed(base))
    assert record.continued == layout.checkpoint_key(0, pack=0, attempt=1)
    assert checkpoints(place) == []


def test_side_by_side_each_trial_keeps_its_own_checkpoint(tmp_path: Path) -> None:
    place, base = make_lstm(tmp_path, trials=3)
    worker = start(tmp_path, SWEEP_WIDTH="2")
    wait_until(lambda: len(lines(place)) == 2, worker)
    time.sleep(0.3)

    assert stop(worker) == Exit.TOLD_TO_STOP
    kept = checkpoints(place)
    code, _ = run(tmp_path, SWEEP_WIDTH="2")

    found = ended(place, 2)
    assert code == Exit.DONE
    assert kept == [layout.checkpoint_key(trial, pack=0, attempt=1) for trial in (0, 1)]
    assert [found[trial].continued for trial in range(3)] == [*kept, None]
    assert all(same(found[seed], undisturbed(base, seed=seed)) for seed in range(3))
    assert checkpoints(place) == []


def test_the_seconds_before_a_stop_are_in_the_record_and_those_of_an_attempt_apart(
    tmp_path: Path,
) -> None:
    place, _ = make_lstm(tmp_path)
    worker = start(tmp_path)
    wait_until(begun(place), worker)
    time.sleep(0.5)

    stop(worker)
    run(tmp_path)

    (paused,) = [record for record in lines(place) if record.state is PAUSED]
    record = ended(place, 2)[0]
    assert paused.attempt_cpu_seconds == paused.cpu_seconds > 0
    assert record.cpu_seconds == pytest.approx(
        paused.cpu_seconds + record.attempt_cpu_seconds, abs=0.1
    )


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, Any]]:
    """A checkpoint of a stopped trial, and its configuration."""
    folder = tmp_path_factory.mktemp("stopped")
    place, base = make_lstm(folder)
    worker = start(folder)
    wait_until(begun(place), worker)
    time.sleep(0.3)
    stop(worker)
    (key,) = checkpoints(place)
    return place.read(key), base


def test_a_checkpoint_of_another_pack_and_round_is_taken_up(
    tmp_path: Path, stopped: tuple[bytes, dict[str, Any]]
) -> None:
    kept, base = stopped
    place, _ = make_lstm(tmp_path)
    _attempt_before(place)
    place.write(layout.checkpoint_key(0, pack=0, attempt=1), kept)

    run(tmp_path)

    assert ended(place, 2)[0].continued is not None
    assert same(ended(place, 2)[0], undisturbed(base))


@pytest.mark.parametrize("damage", ["torn", "flipped", "format", "configuration", "inside"])
def test_a_checkpoint_of_no_use_is_passed_over_with_a_line(
    tmp_path: Path, stopped: tuple[bytes, dict[str, Any]], damage: str
) -> None:
    kept, base = stopped
    place, _ = make_lstm(tmp_path)
    _attempt_before(place)
    key = layout.checkpoint_key(0, pack=0, attempt=1)
    place.write(key, _damaged(kept, damage))

    code, err = run(tmp_path)

    record = ended(place, 2)[0]
    assert code == Exit.DONE
    assert err.count(f"checkpoint {key} is passed over") == 1
    assert record.continued is None
    assert same(record, undisturbed(base))
    assert checkpoints(place) == []


def _damaged(kept: bytes, damage: str) -> bytes:
    head, _, state = kept.partition(b"\n")
    if damage == "torn":
        return kept[:-100]
    if damage == "flipped":
        return kept[:-100] + bytes([kept[-100] ^ 1]) + kept[-99:]
    if damage == "format":
        return json.dumps({**json.loads(head), "format": 99}).encode() + b"\n" + state
    if damage == "configuration":
        return json.dumps({**json.loads(head), "configuration": "0"}).encode() + b"\n" + state
    found = checkpoint.from_bytes(kept)
    return checkpoint.to_bytes(
        checkpoint.Kept(
            configuration=found.configuration,
            versions=found.versions,
            spent=found.spent,
            state=b"not what the application wrote",
        )
    )


def test_of_two_checkpoints_the_newer_attempt_s_is_taken(
    tmp_path: Path, stopped: tuple[bytes, dict[str, Any]]
) -> None:
    kept, base = stopped
    place, _ = make_lstm(tmp_path)
    for number in (1, 2):
        _attempt_before(place, number)
    newer, older = (layout.checkpoint_key(0, pack=0, attempt=number) for number in (2, 1))
    place.write(newer, kept)
    place.write(older, kept)  # written last, by a worker that did not know it was fenced

    run(tmp_path)

    assert ended(place, 3)[0].continued == newer
    assert same(ended(place, 3)[0], undisturbed(base))
    assert checkpoints(place) == []


def _attempt_before(place: Store, number: int = 1) -> None:
    body = {"claimed": 0, "closed": 1, "reason": "told to stop"}
    place.create(layout.attempt_key(0, number), json.dumps(body).encode())


def test_an_undisturbed_trial_leaves_no_checkpoint(tmp_path: Path) -> None:
    place, _ = make_lstm(tmp_path, train__epochs=3)

    run(tmp_path, SWEEP_CHECKPOINT_S="0.001")

    assert [record.state for record in lines(place)] == [BEGUN, DONE]
    assert checkpoints(place) == []
