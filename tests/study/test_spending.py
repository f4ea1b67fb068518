"""Device-seconds as the store tells them: of workers that closed, died, or still run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from sweep.plan import layout
from sweep.plan.budget import Budget, Spent
from sweep.plan.records import Ledger, Line
from sweep.plan.round import Round, Study
from sweep.plan.trial import Record, State
from sweep.store.folder import FolderStore
from sweep.study.spending import Allowance, Meter, budget_of, stop_reason


class CountingStore(FolderStore):
    """A folder that remembers what was read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: list[str] = []

    def read(self, key: str, start: int = 0) -> bytes:
        self.reads.append(key)
        return super().read(key, start)


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    return CountingStore(tmp_path)


def claim(store: FolderStore, pack: int = 0, number: int = 1, *, at: float = 100.0) -> None:
    body = {"claimed": at, "host": "a", "cpus": 2, "gpus": 1}
    store.create(layout.attempt_key(pack, number), json.dumps(body).encode())


def close(
    store: FolderStore, pack: int = 0, number: int = 1, *, at: float, reason: str = "done"
) -> None:
    body = json.loads(store.read(layout.attempt_key(pack, number)))
    body |= {"closed": at, "reason": reason}
    store.write(layout.attempt_key(pack, number), json.dumps(body).encode())


def ledger(*records: Record) -> Ledger:
    found = Ledger()
    for line, record in enumerate(records):
        found.add(Line(record, (record.attempt, 1, line)))
    return found


def done(trial: int = 0, *, at: float, attempt: int = 1, pack: int = 0) -> Record:
    return Record(
        trial, State.COMPLETED, 0.5, started=at - 1, finished=at, attempt=attempt, pack=pack
    )


def begun(trial: int = 0, *, at: float, attempt: int = 1, pack: int = 0) -> Record:
    return Record(trial, State.RUNNING, started=at, attempt=attempt, pack=pack)


def test_a_closed_attempt_counts_to_its_end(store: FolderStore) -> None:
    claim(store)
    close(store, at=160.0)

    total = Meter(store).spent(ledger(done(at=155.0)), now=1000.0)

    assert total == Spent(gpu_s=60.0, cpu_s=120.0)


def test_one_that_was_told_to_stop_lost_what_came_after_its_last_result(
    store: FolderStore,
) -> None:
    claim(store)
    close(store, at=160.0, reason="told to stop")

    total = Meter(store).spent(ledger(done(at=155.0)), now=1000.0)

    assert total == Spent(gpu_s=60.0, cpu_s=120.0, wasted_gpu_s=5.0, wasted_cpu_s=10.0)


def test_what_a_checkpoint_carried_over_was_not_lost(store: FolderStore) -> None:
    claim(store)
    close(store, at=160.0, reason="told to stop")
    claim(store, number=2, at=200.0)
    close(store, number=2, at=220.0)
    carried = dataclasses.replace(
        done(at=219.0, attempt=2),
        continued=layout.checkpoint_key(0, pack=0, attempt=1),
        gpu_seconds=65.0,
        attempt_gpu_seconds=15.0,
        cpu_seconds=70.0,
        attempt_cpu_seconds=20.0,
    )

    total = Meter(store).spent(ledger(carried), now=1000.0)

    assert total == Spent(gpu_s=80.0, cpu_s=160.0, wasted_gpu_s=10.0, wasted_cpu_s=70.0)


def test_one_that_runs_counts_until_now_and_has_lost_nothing(store: FolderStore) -> None:
    claim(store)

    total = Meter(store).spent(ledger(begun(at=110.0)), now=130.0, running={0})

    assert total == Spent(gpu_s=30.0, cpu_s=60.0)


def test_one_that_died_counts_to_its_last_sign_of_life(store: FolderStore) -> None:
    claim(store)

    total = Meter(store).spent(ledger(done(at=120.0), begun(1, at=121.0)), now=1000.0)

    assert (total.gpu_s, total.wasted_gpu_s) == (21.0, 1.0)


def test_one_that_was_seen_running_counts_to_when_that_was(store: FolderStore) -> None:
    claim(store)
    meter = Meter(store)
    meter.spent(ledger(begun(at=101.0)), now=150.0, running={0})

    total = meter.spent(ledger(begun(at=101.0)), now=1000.0)

    assert (total.gpu_s, total.wasted_gpu_s) == (50.0, 50.0)


def test_no_attempt_counts_beyond_the_next_one_of_its_pack(store: FolderStore) -> None:
    claim(store)
    meter = Meter(store)
    meter.spent(ledger(), now=150.0, running={0})
    claim(store, number=2, at=140.0)

    total = meter.spent(ledger(), now=160.0, running={0})

    assert total.gpu_s == 40.0 + 20.0
    assert total.wasted_gpu_s == 40.0


def test_a_cancelled_trial_was_of_no_use(store: FolderStore) -> None:
    claim(store)
    close(store, at=160.0, reason="told to stop")
    cancelled = Record(0, State.CANCELLED, started=150.0, finished=150.0)

    assert Meter(store).spent(ledger(cancelled), now=0.0).wasted_gpu_s == 60.0


def test_what_was_taken_over_cost_nothing(store: FolderStore) -> None:
    taken = Record(0, State.COMPLETED, 0.5, attempt=0, reused_from="old/1", finished=50.0)

    assert Meter(store).spent(ledger(taken), now=1000.0) == Spent()


def test_an_attempt_is_read_when_it_begins_and_when_it_ends(store: CountingStore) -> None:
    claim(store, 0)
    claim(store, 1)
    meter = Meter(store)
    for now in (110.0, 120.0):
        meter.spent(ledger(), now=now, running={0, 1})
    close(store, 1, at=130.0)
    store.reads.clear()

    meter.spent(ledger(), now=140.0, running={0})
    meter.spent(ledger(), now=150.0, running={0})

    assert store.reads == [layout.attempt_key(1, 1)]


def test_what_is_known_of_closed_attempts_is_kept_for_the_next_reader(
    store: CountingStore,
) -> None:
    for pack in range(3):
        claim(store, pack)
    close(store, 0, at=130.0)
    close(store, 1, at=140.0)
    first = Meter(store)
    before = first.spent(ledger(), now=0.0)
    first.keep()
    store.reads.clear()

    assert Meter(store).spent(ledger(), now=0.0) == before
    assert store.reads == [layout.SPENDING, layout.attempt_key(2, 1)]


def test_a_broken_note_of_it_is_passed_over(store: FolderStore) -> None:
    claim(store)
    close(store, at=130.0)
    store.write(layout.SPENDING, b'[[0, 1, 5, true, {"x": 1}]]')

    assert Meter(store).spent(ledger(), now=0.0).gpu_s == 30.0


def test_a_budget_stops_a_study_once_it_is_used_up(store: FolderStore) -> None:
    claim(store)
    allowance = Allowance(Budget(gpu_hours=0.01), Meter(store))

    assert allowance.check(ledger(), now=130.0, running={0}) is None
    assert allowance.check(ledger(), now=133.0, running={0}) is None  # not looked at yet
    why = allowance.check(ledger(), now=140.0, running={0})

    assert why is not None
    line = stop_reason(why, study="s-1")
    assert "0.0111 GPU-hours are spent" in line
    assert "resume s-1" in line


def test_without_a_budget_the_store_is_not_asked(store: CountingStore) -> None:
    claim(store)

    assert Allowance(Budget(), Meter(store)).check(ledger(), now=1e9, running={0}) is None
    assert store.reads == []


def test_a_damaged_attempt_costs_the_sum_and_nothing_else(store: FolderStore) -> None:
    store.write(layout.attempt_key(0, 1), b'{"clai')
    claim(store, 1)
    close(store, 1, at=130.0)

    assert Meter(store).spent(ledger(), now=1e9, running={0}).gpu_s == 30.0


def test_what_is_known_is_written_down_only_when_there_is_more(store: FolderStore) -> None:
    claim(store)
    close(store, at=130.0)
    meter = Meter(store)
    meter.spent(ledger(), now=0.0)
    meter.keep()
    store.delete(layout.SPENDING)

    meter.keep()

    assert layout.SPENDING not in store.sizes("")


def test_a_resume_s_budget_replaces_the_study_s_for_whoever_conducts_the_round() -> None:
    study = Study(
        name="s",
        created=0.0,
        task="",
        job="",
        limits={"budget": {"gpu_hours": 1, "cpu_hours": None}},
    )
    first = Round(number=1, bases=[], trials=[], packs=[])
    more = {"budget": {"gpu_hours": 5.0, "cpu_hours": None}}
    second = Round(number=2, bases=[], trials=[], packs=[], cluster=more)

    assert budget_of(study, first) == Budget(gpu_hours=1)
    assert budget_of(study, second) == Budget(gpu_hours=5.0)


def test_what_was_spent_is_not_looked_for_where_nothing_bounds_it(store: CountingStore) -> None:
    claim(store)
    reads = list(store.reads)

    spent = Allowance(Budget(), Meter(store)).spent(Ledger(), now=200.0)

    assert spent == Spent()
    assert store.reads == reads
