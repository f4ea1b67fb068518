"""A pack that trains at once leaves what trials in turn would, however often it is interrupted."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from lives import BEGUN, DONE, PAUSED, begun, lines, lstm, make_study, run, start, wait_until

from sweep.app import APPLICATION
from sweep.plan import layout
from sweep.plan.exits import Exit
from sweep.plan.trial import Record, State
from sweep.store import Store
from sweep.worker.checkpoint import Seconds
from sweep.worker.fused import Shares

TRIALS = 3


def make_pack(folder: Path, **changes: Any) -> tuple[Store, dict[str, Any]]:
    base = lstm(train__backend="array", **changes)
    place = make_study(
        folder,
        trials=TRIALS,
        task="sweep.app:train",
        key="train.seed",
        base=base,
        fused=True,
    )
    return place, base


def ended(place: Store, *attempts: int) -> dict[int, Record]:
    found = [line for number in attempts for line in lines(place, number)]
    return {line.trial: line for line in found if line.state.terminal}


def numbers(record: Record) -> object:
    return record.state, record.objective, record.metrics, record.history


def undisturbed(base: dict[str, Any], folder: Path) -> dict[int, object]:
    """The same pack, trained without an interruption."""
    place = make_study(
        folder,
        trials=TRIALS,
        task="sweep.app:train",
        key="train.seed",
        base=base,
        fused=True,
    )
    code, err = run(folder)
    assert code == Exit.DONE, err
    return {number: numbers(record) for number, record in ended(place, 1).items()}


@pytest.mark.slow
def test_its_records_are_those_of_trials_in_turn_within_a_tolerance(tmp_path: Path) -> None:
    place, base = make_pack(tmp_path, train__epochs=6)

    code, err = run(tmp_path)

    assert code == Exit.DONE, err
    found = lines(place)
    assert sorted((line.trial, line.state) for line in found) == sorted(
        (number, state) for number in range(TRIALS) for state in (BEGUN, DONE)
    )
    for number, record in ended(place, 1).items():
        assert record.versions["backend"] == "array"
        assert record.cpu_seconds > 0
        APPLICATION.warm()
        tree = {**base, "train": {**base["train"], "seed": number, "backend": "torch"}}
        alone = APPLICATION.run(tree, lambda _: "go on")  # type: ignore[arg-type, return-value]
        assert record.objective == pytest.approx(alone.objective, rel=1e-3)
        assert record.metrics.keys() == alone.metrics.keys()
        assert record.history["val_loss"] == pytest.approx(alone.history["val_loss"], rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_interrupted_every_trial_goes_on_with_the_same_bits(
    tmp_path: Path, number: signal.Signals
) -> None:
    place, base = make_pack(tmp_path / "cut", train__epochs=24)
    worker = start(tmp_path / "cut", SWEEP_CHECKPOINT_S="0.02")

    def kept() -> bool:
        keys = place.sizes(layout.TRIALS)
        return begun(place)() and len([k for k in keys if layout.checkpoint_of(k)]) == TRIALS

    wait_until(kept, worker)
    worker.send_signal(number)
    worker.communicate(timeout=60)
    left = ended(place, 1)
    code, err = run(tmp_path / "cut")

    assert code == Exit.DONE, err
    if number == signal.SIGTERM:
        assert worker.returncode == Exit.TOLD_TO_STOP
        resting = [line.trial for line in lines(place, 1) if line.state is PAUSED]
        assert sorted([*resting, *left]) == list(range(TRIALS))
    again = ended(place, 2)
    assert all(record.continued for record in again.values())
    assert {n: numbers(r) for n, r in (left | again).items()} == undisturbed(
        base, tmp_path / "whole"
    )
    assert not [key for key in place.sizes(layout.TRIALS) if layout.checkpoint_of(key)]


@pytest.mark.slow
def test_a_study_that_is_to_stop_begins_no_trial_of_the_pack(tmp_path: Path) -> None:
    place, _ = make_pack(tmp_path)
    place.write(layout.STOP, b"{}")

    code, _ = run(tmp_path)

    assert code == Exit.DONE
    assert {record.state for record in ended(place, 1).values()} == {State.CANCELLED}
    assert len(ended(place, 1)) == TRIALS


@pytest.mark.slow
def test_a_trial_whose_settings_are_wrong_fails_alone(tmp_path: Path) -> None:
    base = lstm(train__backend="array", train__epochs=2)
    place = make_study(
        tmp_path, trials=3, task="sweep.app:train", key="model.num_layers", base=base, fused=True
    )  # no layer, one, two

    code, err = run(tmp_path)

    assert code == Exit.DONE, err
    found = ended(place, 1)
    assert [found[n].state for n in range(3)] == [State.FAILED, DONE, DONE]
    assert found[0].error is not None
    assert "model.num_layers=0" in found[0].error.text


def test_what_a_process_spends_is_shared_among_the_trials_under_way() -> None:
    clock = [0.0]
    shares = Shares(lambda: Seconds(clock[0], 10 * clock[0]))
    first = shares.join()
    clock[0] = 2.0
    second = shares.join()
    clock[0] = 6.0

    assert (first(), second()) == (Seconds(4.0, 40.0), Seconds(2.0, 20.0))
    shares.leave()
    clock[0] = 7.0
    assert second() == Seconds(3.0, 30.0)


@pytest.mark.slow
def test_a_fused_slot_climbs_rungs_and_what_reaches_the_top_has_the_bits_of_one_training(
    tmp_path: Path,
) -> None:
    base = lstm(train__backend="array", train__epochs=4)
    options: dict[str, Any] = {"task": "sweep.app:train", "key": "train.seed", "base": base}
    place = make_study(tmp_path / "rungs", trials=6, rungs=(1, 4), fused=True, **options)
    whole = make_study(tmp_path / "whole", trials=6, fused=True, **options)

    codes = [run(tmp_path / folder)[0] for folder in ("rungs", "whole")]

    assert codes == [Exit.DONE, Exit.DONE]
    climbed, undivided = ended(place, 1), ended(whole, 1)
    assert len(climbed) == 6
    top = [number for number, record in climbed.items() if record.state is DONE]
    assert top
    assert {climbed[n].state for n in climbed if n not in top} == {State.PRUNED}
    for number in top:
        assert numbers(climbed[number]) == numbers(undivided[number])
        assert climbed[number].continued
