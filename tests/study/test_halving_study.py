"""`hydra.sweeper.strategy=halving` through the real command line, whoever is killed."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

from clients import FRAIL, Place, finish, kill, numbers, wait_until

from sweep.plan.trial import State
from sweep.study.reading import read_rounds

HALVING = (
    "hydra/sweeper=guide", "hydra.launcher.cluster=local", "hydra.sweeper.strategy=halving",
    "x=interval(-5,5)", "epochs=9", "hydra.launcher.parallelism=2",
)  # fmt: skip


def climbs(place: Place) -> Counter[tuple[int, int]]:
    """Count how often each trial came to the end of each rung, by its epochs."""
    ends = (State.PAUSED, State.COMPLETED)
    return Counter(
        (line.trial, len(line.history["loss"]))
        for line in place.lines()
        if line.state in ends and line.history
    )


def states(place: Place) -> Counter[State]:
    return Counter(record.state for record in place.records().values())


def test_of_nine_three_go_on_and_one_is_trained_to_its_end(tmp_path: Path) -> None:
    place = Place(tmp_path)

    ended = place.multirun(*HALVING, "hydra.sweeper.max_trials=9", "hydra.launcher.parallelism=1")

    assert ended.code == 0, ended.err
    assert "9, in 1 open slots" in ended.out
    assert states(place) == {State.PRUNED: 8, State.COMPLETED: 1}
    counts = Counter(epochs for _, epochs in climbs(place))
    assert counts[1] == 9
    assert 3 <= counts[3] < 9  # some were promoted before better ones had come
    assert counts[9] == 1
    best = min(place.records().values(), key=lambda record: record.objective or 99.0)
    assert best.state is State.COMPLETED
    [round_] = read_rounds(place.store.at("s"))
    assert round_.rungs is not None
    assert round_.rungs.brackets == ((1, 3, 9),)


def test_a_killed_worker_costs_its_climb_alone(tmp_path: Path) -> None:
    place = Place(tmp_path)
    client = place.start(*HALVING, "hydra.sweeper.max_trials=12", "epoch_s=0.05")
    wait_until(lambda: place.planned() and len(climbs(place)) > 4)

    os.kill(place.workers()[0].pid, signal.SIGKILL)
    ended = finish(client)

    assert ended.code == 0, ended.err
    assert set(climbs(place).values()) == {1}
    assert set(states(place)) == {State.PRUNED, State.COMPLETED}
    assert len(place.records()) == 12


def test_after_its_client_was_killed_resume_goes_on_where_it_stood(tmp_path: Path) -> None:
    place = Place(tmp_path)
    client = place.start(*HALVING, "hydra.sweeper.max_trials=12", "epoch_s=0.05")
    wait_until(lambda: place.planned() and len(climbs(place)) > 6)
    kill(client)
    wait_until(lambda: not place.workers())
    before = climbs(place)

    ended = finish(place.resume("--parallelism", "2"))

    assert ended.code == 0, ended.err
    assert climbs(place).keys() >= before.keys()
    assert set(climbs(place).values()) == {1}
    assert len(place.records()) == 12
    assert set(states(place)) == {State.PRUNED, State.COMPLETED}


def test_after_its_time_what_has_begun_is_decided(tmp_path: Path) -> None:
    place = Place(tmp_path)

    ended = place.multirun(
        *HALVING, "hydra.sweeper.max_trials=60", "epoch_s=0.1", "hydra.sweeper.max_time=3s"
    )

    assert ended.code == 0, ended.err
    assert len(place.records()) == 60
    assert set(states(place)) == {State.PRUNED, State.COMPLETED, State.CANCELLED}
    assert '"state": "complete"' in place.verb("status", "s", "--json").out


def test_a_budget_that_is_used_up_can_be_raised(tmp_path: Path) -> None:
    place = Place(tmp_path)

    small = place.multirun(
        *HALVING,
        "hydra.sweeper.max_trials=12",
        "epoch_s=0.2",
        "hydra.launcher.budget.cpu_hours=5e-4",
    )
    stopped = states(place)
    ended = finish(place.resume("--cpu-hours", "1"))

    assert small.code == 1, small.err
    assert stopped[State.CANCELLED] > 0
    assert ended.code == 0, ended.err
    assert set(states(place)) == {State.PRUNED, State.COMPLETED}
    assert set(climbs(place).values()) == {1}


def test_seeds_are_compared_together(tmp_path: Path) -> None:
    place = Place(tmp_path)

    ended = place.multirun(
        *HALVING, "train.seed=0,1", "hydra.sweeper.max_trials=12",
        "hydra.sweeper.halving.least=3", "hydra.sweeper.halving.brackets=null",
    )  # fmt: skip

    assert ended.code == 0, ended.err
    [round_] = read_rounds(place.store.at("s"))
    assert round_.rungs is not None
    assert round_.rungs.units == tuple((n, n + 1) for n in range(0, 12, 2))
    assert round_.rungs.brackets == ((3, 9), (9,))
    found = {n: record.state for n, record in place.records().items()}
    assert all(found[n] is found[n + 1] for n in range(0, 12, 2))


def test_what_halving_cannot_do_is_refused_in_one_line(tmp_path: Path) -> None:
    place = Place(tmp_path)

    uneven = place.multirun(*HALVING, "epochs=3,9")
    small = place.multirun(*HALVING, "hydra.sweeper.halving.factor=1")
    basic = ("hydra/launcher=basic", "hydra/sweeper=guide", "hydra.sweeper.strategy=halving")
    foreign = place.python(str(FRAIL), "-m", "x=1,2", *basic)

    assert [uneven.code, small.code, foreign.code] == [2, 2, 2]
    assert "trials have [3, 9]" in uneven.err
    assert "hydra.sweeper.halving.factor=1" in small.err
    assert "only workers of hydra/launcher=kubernetes" in foreign.err
    assert not (tmp_path / "sweep-store").exists()


def test_a_promoted_trial_has_the_numbers_of_one_that_never_rested(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert place.multirun(*HALVING, "hydra.sweeper.max_trials=3").code == 0
    [best] = [r for r in place.records().values() if r.state is State.COMPLETED]
    x = {trial.number: trial.values["x"] for trial in place.read().trials}[best.trial]

    plain = ("hydra.launcher.cluster=local", "epochs=9", f"x={x}", "hydra.launcher.reuse=false")
    whole = place.multirun(*plain, task=FRAIL, study="whole")

    assert whole.code == 0, whole.err
    assert numbers(place.records("whole")[0]) == numbers(best)


def test_under_a_new_limit_more_trials_climb_the_same_rungs_among_themselves(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path)
    assert place.multirun(*HALVING, "hydra.sweeper.max_trials=9").code == 0

    ended = finish(place.resume("--max-trials", "18"))

    assert ended.code == 0, ended.err
    first, second = read_rounds(place.store.at("s"))
    assert first.rungs is not None
    assert second.rungs is not None
    assert second.rungs.brackets == first.rungs.brackets
    assert second.rungs.units == tuple((n,) for n in range(9, 18))
    assert set(climbs(place).values()) == {1}
    assert len(place.records()) == 18
    told = place.verb("report", "s", "--format", "md").out
    assert "**round 1, rung 1: 1 epoch**" in told
    assert "**round 2, rung 1: 1 epoch**" in told
    assert told.count("9 trials entered:") == 2


def test_given_more_time_trials_that_never_began_are_begun(tmp_path: Path) -> None:
    place = Place(tmp_path)
    late = (*HALVING, "hydra.sweeper.max_trials=30", "epoch_s=0.1", "hydra.sweeper.max_time=2s")
    assert place.multirun(*late).code == 0
    assert states(place)[State.CANCELLED] > 0

    ended = finish(place.resume("--max-time", "10m", "--parallelism", "2"))

    assert ended.code == 0, ended.err
    assert set(states(place)) == {State.PRUNED, State.COMPLETED}
    assert len(place.records()) == 30
