"""Pods whose slots are open: they share a study's rungs through the store, and need no client."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from lives import attempt, lstm, make_study, offer, run, start, tell_to_stop, wait_until

from sweep.plan import layout
from sweep.plan.exits import Exit
from sweep.plan.records import lines_of
from sweep.plan.trial import Record, State
from sweep.store import Store

LADDER = (1, 3, 9)


def all_lines(place: Store) -> list[Record]:
    found: list[Record] = []
    for key in sorted(place.sizes(layout.PACKS)):
        file = layout.results_of(key)
        if file:
            read, _, _, _ = lines_of(place.read(key), where=key, attempt=1, part=1)
            found += [line.record for line in read]
    return found


def results(place: Store) -> dict[int, Record]:
    return {record.trial: record for record in all_lines(place) if record.state.terminal}


def climbs(place: Store) -> Counter[tuple[int, int]]:
    ends = (State.PAUSED, State.COMPLETED)
    lines = [line for line in all_lines(place) if line.state in ends and line.history]
    return Counter((line.trial, max(map(len, line.history.values()))) for line in lines)


def test_two_pods_of_two_lanes_halve_a_study_without_a_client(tmp_path: Path) -> None:
    place = make_study(tmp_path, trials=12, epochs=9, rungs=LADDER, slots=2, epoch_s=0.01)

    pods = [start(tmp_path, JOB_COMPLETION_INDEX=str(n), SWEEP_WIDTH="2") for n in (0, 1)]
    codes = [pod.communicate(timeout=120) and pod.returncode for pod in pods]

    assert codes == [Exit.DONE, Exit.DONE]
    assert set(climbs(place).values()) == {1}
    found = Counter(record.state for record in results(place).values())
    assert found[State.PRUNED] + found[State.COMPLETED] == 12
    assert found[State.COMPLETED] >= 1


def test_a_killed_child_s_climb_is_done_again_and_a_killed_pod_s_by_its_next_attempt(
    tmp_path: Path,
) -> None:
    place = make_study(tmp_path, trials=6, epochs=9, rungs=LADDER, epoch_s=0.05)
    pod = start(tmp_path, SWEEP_WIDTH="2")
    wait_until(lambda: len(climbs(place)) > 1, pod)
    psutil.Process(pod.pid).children()[0].kill()
    wait_until(lambda: len(climbs(place)) > 4, pod)
    pod.kill()
    pod.communicate()

    code, _ = run(tmp_path, SWEEP_WIDTH="2")

    assert code == Exit.DONE
    assert attempt(place, 2)["reason"] == "done"
    assert set(climbs(place).values()) == {1}
    assert set(results(place)) == set(range(6))


def test_a_pod_that_is_told_to_stop_leaves_its_climb_to_the_next(tmp_path: Path) -> None:
    place = make_study(tmp_path, trials=4, epochs=9, rungs=LADDER, epoch_s=0.3)
    pod = start(tmp_path)
    wait_until(lambda: len(climbs(place)) > 0, pod)

    code, _ = tell_to_stop(pod)
    again, _ = run(tmp_path)

    assert (code, again) == (Exit.TOLD_TO_STOP, Exit.DONE)
    assert set(climbs(place).values()) == {1}
    assert set(results(place)) == set(range(4))


def test_a_trial_that_always_kills_its_worker_fails_and_the_others_go_on(tmp_path: Path) -> None:
    place = make_study(tmp_path, trials=3, epochs=3, rungs=(1, 3), fault="kill")

    code, _ = run(tmp_path)

    found = [results(place)[number].state for number in range(3)]
    assert code == Exit.DONE
    assert found.count(State.FAILED) == 1  # the one that was promoted beyond its first epoch
    assert found.count(State.PRUNED) == 2


def test_without_a_client_what_is_offered_is_trained_and_the_pod_ends(tmp_path: Path) -> None:
    place = make_study(tmp_path, trials=3, offered=1)
    offer(place, 2, 7.0, place_of_offer=1)

    code, _ = run(tmp_path, SWEEP_WIDTH="2")

    assert code == Exit.DONE
    assert {n: record.state for n, record in results(place).items()} == dict.fromkeys(
        range(3), State.COMPLETED
    )
    assert results(place)[2].objective == pytest.approx(16.0, abs=1.0)


def test_as_long_as_a_client_searches_its_pods_wait_for_what_it_offers(tmp_path: Path) -> None:
    place = make_study(tmp_path, trials=3, offered=2, slots=2)
    with place.hold(layout.LEASE, "a client"):
        pods = [start(tmp_path, JOB_COMPLETION_INDEX=str(n)) for n in (0, 1)]
        wait_until(lambda: len(results(place)) == 1, pods[0])
        offer(place, 1, 5.0, place_of_offer=1)
        wait_until(lambda: len(results(place)) == 2, pods[0])
        offer(place, 2, 6.0, place_of_offer=2)
        wait_until(lambda: len(results(place)) == 3, pods[0])
        place.write(layout.closed_key(1), b"")
        codes = [pod.communicate(timeout=60) and pod.returncode for pod in pods]

    assert codes == [Exit.DONE, Exit.DONE]
    assert Counter(line.trial for line in all_lines(place) if line.state is State.RUNNING) == {
        0: 1, 1: 1, 2: 1
    }  # fmt: skip


def test_a_killed_pod_takes_up_what_it_had_claimed(tmp_path: Path) -> None:
    place = make_study(tmp_path, trials=2, offered=1, epoch_s=0.5)
    pod = start(tmp_path)
    wait_until(lambda: bool(all_lines(place)), pod)
    pod.kill()
    pod.communicate()
    offer(place, 1, 5.0, place_of_offer=1)

    code, _ = run(tmp_path)

    assert code == Exit.DONE
    assert set(results(place)) == {0, 1}


def test_networks_rest_with_their_checkpoints_and_go_on_with_the_same_bits(tmp_path: Path) -> None:
    config = lstm(train__epochs=4)
    kind = {"task": "sweep.app:train", "key": "train.seed", "base": config}
    (tmp_path / "rungs").mkdir()
    (tmp_path / "whole").mkdir()
    halved = make_study(tmp_path / "rungs", trials=3, rungs=(1, 2, 4), **kind)  # type: ignore[arg-type]
    whole = make_study(tmp_path / "whole", trials=3, **kind)  # type: ignore[arg-type]

    codes = [run(tmp_path / name, SWEEP_WIDTH="1")[0] for name in ("rungs", "whole")]

    assert codes == [Exit.DONE, Exit.DONE]
    [best] = [r for r in results(halved).values() if r.state is State.COMPLETED]
    same = results(whole)[best.trial]
    assert (best.objective, best.history) == (same.objective, same.history)
    assert best.continued is not None
    assert 0 < best.attempt_cpu_seconds < best.cpu_seconds
    assert not [key for key in halved.sizes(layout.TRIALS) if layout.checkpoint_of(key)]
